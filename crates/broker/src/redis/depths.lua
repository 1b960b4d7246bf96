-- Counts the messages of every queue that is known. ARGV[3]: how many of the next in each list are asked for their age.
-- Returns { queue, ready, delayed, held, since when the oldest is ready or nil, since when it is paused or nil }.

local sample = tonumber(ARGV[3])
local counts = {}

local function count_of(queue)
    counts[queue] = counts[queue] or { ready = 0, delayed = 0, held = 0 }
    return counts[queue]
end

local function ready_since(count, messages, since)
    count.ready = count.ready + messages
    if since and not (count.since and count.since <= since) then count.since = since end
end

local function count_lists(queue, count)
    for step = 0, #cfg.suffixes - 1 do
        local list = list_of(queue, step)
        count.ready = count.ready + redis.call('LLEN', list)
        for _, raw in ipairs(redis.call('LRANGE', list, -sample, -1)) do
            local facts = facts_of(raw)
            local known = facts and known_of(facts.id)
            ready_since(count, 0, known and known.ra)
        end
    end
end

local function count_delayed(queue, count)
    local delayed = delayed_of(queue)
    local due = redis.call('ZCOUNT', delayed, '-inf', digits(now))
    if due > 0 then
        ready_since(count, due, tonumber(redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')[2]))
    end
    count.delayed = redis.call('ZCARD', delayed) - due
end

for _, queue in ipairs(redis.call('SMEMBERS', own .. 'queues')) do
    local count = count_of(queue)
    count_lists(queue, count)
    count_delayed(queue, count)
end

local tags = redis.call('HKEYS', held)
for _, tag in ipairs(tags) do
    local holds = holds_of(tag)
    if holds and redis.call('HEXISTS', unacked, tag) == 1 then
        local count, at = count_of(holds[2]), end_of(tag, holds)
        if at <= now then ready_since(count, 1, at) else count.held = count.held + 1 end
    end
end

local pauses = redis.call('HGETALL', paused)
for i = 1, #pauses, 2 do count_of(pauses[i]).paused = tonumber(pauses[i + 1]) end

local answer = {}
for queue, count in pairs(counts) do
    if count.ready + count.delayed + count.held > 0 or count.paused then
        answer[#answer + 1] =
            { queue, count.ready, count.delayed, count.held, count.since or false, count.paused or false }
    end
end
return answer
