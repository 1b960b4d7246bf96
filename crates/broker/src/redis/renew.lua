-- Lengthens leases. ARGV[3]: lease in microseconds; ARGV[4]: limit of what is moved beside it; then the tags.
-- Who renews may be too busy to fetch for long, so this hands on what is due, too.
-- Returns for each nil if it was lost, else { 1, reason of a cancellation or nil }.

local until_then = digits(now + tonumber(ARGV[3]))
local seconds = string.format('%.6f', now / 1000000)
local answers = {}
for i = 5, #ARGV do
    local tag = ARGV[i]
    local holds = holds_of(tag)
    if holds and redis.call('HEXISTS', unacked, tag) == 1 then
        redis.call('ZADD', leases, until_then, tag)
        redis.call('ZADD', unacked_index, seconds, tag)
        redis.call('PEXPIRE', record_of(holds[1]), digits(cfg.keep))
        local known = known_of(holds[1]) or {}
        keep_unique(known.u or holds[HOLDS_U] or nil, cfg.keep)
        answers[#answers + 1] = { 1, known.c or holds[HOLDS_C] or nil }
    else
        answers[#answers + 1] = false
    end
end
-- Only now: what has just been renewed may have been overdue.
take_back(tonumber(ARGV[4]))
promote(tonumber(ARGV[4]))
return answers
