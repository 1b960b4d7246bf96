-- Leases messages. ARGV from 3: beginning of the tags, how many, lease in microseconds, holder, limit of what is
-- moved beside it; then the queues in the order in which they are asked.
-- Returns the time by which it went, the end of the leases, the next instant at which something falls due or nil, and
-- for each message:
-- { message, queue, number of its tag, hand-outs, attempts, lost holders, reason of a cancellation or nil }.

local stem, max, lease = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local holder, limit = ARGV[6], tonumber(ARGV[7])
local until_then = now + lease
local seconds = string.format('%.6f', now / 1000000)

for i = 8, #ARGV do
    for step = 0, #cfg.suffixes - 1 do need_list(ARGV[i], step) end
end
for i = 8, #ARGV do serve(ARGV[i], holder) end
take_back(limit)
promote(limit)

local taken, number, moved = {}, 0, 0

local function hold(raw, queue, step, facts)
    number = number + 1
    local tag = stem .. string.format('%06d', number)
    local exchange, key = text(facts.exchange) or '', text(facts.key) or queue
    redis.call('HSET', unacked, tag, '[' .. raw .. ', ' .. cjson.encode(exchange) .. ', ' .. cjson.encode(key) .. ']')
    redis.call('ZADD', unacked_index, seconds, tag)
    redis.call('ZADD', leases, digits(until_then), tag)
    redis.call('HSET', held, tag, cmsgpack.pack({ facts.id, queue, step, #raw, holder }))
    local record = record_of(facts.id)
    local known = redis.call('HMGET', record, 'd', 'a', 'l', 'c', 'u', 'n')
    local deliveries, attempts = (tonumber(known[1]) or 0) + 1, (tonumber(known[2]) or 0) + 1
    redis.call('HSET', record, 'q', queue, 's', 'h', 'k', step, 't', tag, 'd', deliveries, 'a', attempts)
    if not known[6] then redis.call('HSET', record, 'n', redis.call('INCR', own .. 'last')) end
    redis.call('PEXPIRE', record, cfg.keep)
    if known[5] then redis.call('PEXPIRE', own .. 'unique:' .. known[5], cfg.keep) end
    taken[number] = { raw, queue, number, deliveries, attempts, tonumber(known[3]) or 0, known[4] }
end

local function take(raw, queue, step)
    local facts, reason = facts_of(raw)
    if not facts then
        moved = moved + 1
        bury(raw, queue, nil, 'undecodable', reason)
    elseif facts.due and facts.due > now then
        moved = moved + 1
        park(stem .. 'p' .. moved, raw, queue, step, facts.id, facts.due)
    else
        hold(raw, queue, step, facts)
    end
end

for i = 8, #ARGV do
    local queue = ARGV[i]
    if redis.call('HEXISTS', paused, queue) == 0 then
        for step = 0, #cfg.suffixes - 1 do
            while number < max and moved < limit do
                local raws = redis.call('RPOP', list_of(queue, step), max - number)
                if not raws then break end
                for _, raw in ipairs(raws) do
                    -- The messages after it have left their list, so nothing that one of them holds may end this.
                    local fine, why = pcall(take, raw, queue, step)
                    if not fine then
                        moved = moved + 1
                        bury(raw, queue, nil, 'undecodable', type(why) == 'table' and why.err or tostring(why))
                    end
                end
            end
        end
    end
end

local next_due
local function consider(key)
    local first = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')[2]
    if first and not (next_due and next_due <= tonumber(first)) then next_due = tonumber(first) end
end
-- What was moved away may have stood before messages that are ready.
if moved >= limit then next_due = now end
consider(leases)
for _, queue in ipairs(redis.call('SMEMBERS', waiting)) do consider(delayed_of(queue)) end

return { now, until_then, next_due or false, taken }
