-- Takes waiting messages out of a queue. ARGV[3]: the queue, ARGV[4]: how many at most.
-- Returns { message, due time or nil, hand-outs, attempts } for each; what can't be read goes to the dead letters.

local queue, max = ARGV[3], tonumber(ARGV[4])
local purged = {}

need_room()

local function out(raw, due)
    local facts, reason = facts_of(raw)
    if not facts then
        bury(raw, queue, nil, 'undecodable', reason)
        return
    end
    local known = known_of(facts.id) or {}
    if not due and facts.due and facts.due > now then due = facts.due end
    purged[#purged + 1] = { raw, due, known.d or 0, known.a or 0 }
    forget(facts.id)
end

for step = 0, #cfg.suffixes - 1 do
    while #purged < max do
        local raws = redis.call('RPOP', list_of(queue, step), max - #purged)
        if not raws then break end
        for _, raw in ipairs(raws) do out(raw, false) end
    end
end

if #purged < max then
    local delayed = delayed_of(queue)
    local names = redis.call('ZRANGE', delayed, 0, max - #purged - 1, 'WITHSCORES')
    for i = 1, #names, 2 do
        local value = redis.call('HGET', parked, names[i])
        if value then out(value:sub(2), tonumber(names[i + 1])) end
        redis.call('HDEL', parked, names[i])
        redis.call('ZREM', delayed, names[i])
    end
end
return purged
