-- Finds the message of a job, and cancels it if asked to. ARGV from 3: id, 'find' or 'cancel', reason, where in its
-- list to go on, how many messages to look at.
-- Returns nil; or { 'more' }, to be called again further on; or { standing, message, queue, hand-outs, attempts,
-- instant, holder }, where standing is 'ready', 'delayed' or 'held'.

local id, cancels, reason = ARGV[3], ARGV[4] == 'cancel', ARGV[5]
local start, slice = tonumber(ARGV[6]), tonumber(ARGV[7])
local known = known_of(id) or {}
local queue, step, place = known.q, known.k, known.t
local deliveries, attempts = known.d or 0, known.a or 0

-- What the id has of plain letters stands in the message as it is, whoever wrote the JSON.
local needle = ''
for run in id:gmatch('[%w_-]+') do
    if #run > #needle then needle = run end
end

local function among(raws)
    for _, raw in ipairs(raws) do
        if raw:find(needle, 1, true) then
            local facts = facts_of(raw)
            if facts and facts.id == id then return raw, facts.due end
        end
    end
end

local function ready_in(list, of_queue, raw, due)
    if cancels then
        redis.call('LREM', list, 1, raw)
        forget(id)
    end
    if due and due > now then return { 'delayed', raw, of_queue, deliveries, attempts, due, '' } end
    return { 'ready', raw, of_queue, deliveries, attempts, 0, '' }
end

-- How many tags of other workers are looked through.
local OTHERS = 10000

-- Finds a message in the hands of a Python worker, which can't be told to let go of it.
local function held_by_another()
    if cancels or redis.call('HLEN', unacked) > OTHERS then return false end
    local all = redis.call('HGETALL', unacked)
    for i = 1, #all, 2 do
        local value = all[i + 1]
        if value:find(needle, 1, true) and redis.call('HEXISTS', held, all[i]) == 0 then
            local raw, key = value:match('^%[(.*), "[^"]*", "([^"]*)"%]$')
            local facts = raw and facts_of(raw)
            if facts and facts.id == id then
                local since = tonumber(redis.call('ZSCORE', unacked_index, all[i]) or nil) or now / 1000000
                -- Celery gives such a worker an hour before others take its message.
                local ends = math.floor((since + 3600) * 1000000)
                return { 'held', raw, queue or key, deliveries, attempts, ends, 'a worker of Celery' }
            end
        end
    end
    return false
end

local tag, holds = tag_of(id)
if holds then
    if cancels then
        if not known.c then
            known.c = reason
            note(id, known, cfg.keep)
        end
        -- Here and not later: whoever cancels may be gone before it has said so.
        redis.call('PUBLISH', cfg.channel, cfg.sender .. 'c' .. id)
    end
    return { 'held', message_under(tag, holds), holds[2], holds[HOLDS_D], holds[HOLDS_A], end_of(tag, holds), holds[5] }
end

local value = known.s == 'd' and redis.call('HGET', parked, place)
if value then
    local due = tonumber(redis.call('ZSCORE', delayed_of(queue), place)) or now
    if cancels then
        redis.call('HDEL', parked, place)
        redis.call('ZREM', delayed_of(queue), place)
        forget(id)
    end
    return { due > now and 'delayed' or 'ready', value:sub(2), queue, deliveries, attempts, due, '' }
elseif queue then
    local list = list_of(queue, step)
    local raws = redis.call('LRANGE', list, start, start + slice - 1)
    local raw, due = among(raws)
    if raw then return ready_in(list, queue, raw, due) end
    if #raws == slice then return { 'more' } end
    return held_by_another()
end

-- Of what others have pushed nothing is known before it is fetched: the oldest of each queue are looked through.
for _, of_queue in ipairs(redis.call('SMEMBERS', own .. 'queues')) do
    for of_step = 0, #cfg.suffixes - 1 do
        local list = list_of(of_queue, of_step)
        local raw, due = among(redis.call('LRANGE', list, -slice, -1))
        if raw then return ready_in(list, of_queue, raw, due) end
    end
end
return false
