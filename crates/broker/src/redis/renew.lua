-- Lengthens leases. ARGV[3]: lease in microseconds; ARGV[4]: limit of what is moved beside it; then the tags.
-- Who renews may be too busy to fetch for long, so this hands on what is due, too.
-- Returns for each nil if it was lost, else { 1, reason of a cancellation or nil }.

local until_then = digits(now + tonumber(ARGV[3]))
local seconds = string.format('%.6f', now / 1000000)
local answers = {}
for i = 5, #ARGV do
    local tag = ARGV[i]
    local holds = holding(tag)
    if holds and redis.call('HEXISTS', unacked, tag) == 1 then
        redis.call('ZADD', leases, until_then, tag)
        redis.call('ZADD', unacked_index, seconds, tag)
        local record = record_of(holds[1])
        redis.call('PEXPIRE', record, cfg.keep)
        local known = redis.call('HMGET', record, 'c', 'u')
        if known[2] then redis.call('PEXPIRE', own .. 'unique:' .. known[2], cfg.keep) end
        answers[#answers + 1] = { 1, known[1] }
    else
        answers[#answers + 1] = false
    end
end
-- Only now: what has just been renewed may have been overdue.
take_back(tonumber(ARGV[4]))
promote(tonumber(ARGV[4]))
return answers
