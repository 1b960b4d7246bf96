-- What all scripts of this transport share; it stands before each of them.
-- ARGV[1]: settings as JSON: prefix, suffixes (of the lists of one queue, first served first), separator,
--          channel, sender, keep (milliseconds). ARGV[2]: the time in microseconds, or '' for this server's own.
-- A script that takes a message from one place has made sure before that it can put it into the next.
-- A script that has begun to write is not refused memory any more, and is never stopped half-way by the server.

local cfg = cjson.decode(ARGV[1])
local prefix, own = cfg.prefix, cfg.prefix .. 'celeriac:'
local unacked, unacked_index = prefix .. 'unacked', prefix .. 'unacked_index'
local leases, held, parked = own .. 'leases', own .. 'held', own .. 'parked'
local waiting, paused = own .. 'delayed', own .. 'paused'

-- How long a queue counts as served after a worker of ours has last asked for its messages, in microseconds.
local SERVED = 60 * 1000000

-- Beyond this a number of microseconds is not exact any more; no sender means such a time.
local LAST_INSTANT = 2 ^ 53

local now = tonumber(ARGV[2])
if not now then
    local time = redis.call('TIME')
    now = tonumber(time[1]) * 1000000 + tonumber(time[2])
end

-- Writes a number of microseconds without an exponent.
local function digits(number)
    return string.format('%.0f', number)
end

local function record_of(id)
    return own .. 'job:' .. id
end

-- What lies here may have been put by a worker that was told of more steps: the last one takes it.
local function list_of(queue, step)
    return prefix .. queue .. cfg.suffixes[math.min(step + 1, #cfg.suffixes)]
end

-- Fails here, before anything is written, where something else than a list has a queue's name.
local function need_list(queue, step)
    redis.call('LLEN', list_of(queue, step))
end

local function delayed_of(queue)
    return own .. 'delayed:' .. queue
end

-- Fails here, before anything is taken from its place, where the server's memory is full.
local function need_room()
    redis.call('SET', own .. 'room', '')
end

-- Notes that a worker of ours takes from a queue. It is a first write: it fails, like `need_room`, where there is none.
local function serve(queue, holder)
    local served = own .. 'served:' .. queue
    redis.call('ZADD', served, digits(now), holder)
    redis.call('ZREMRANGEBYSCORE', served, '-inf', '(' .. digits(now - SERVED))
end

-- Says whether a worker of ours takes from a queue, which will hand on in time what is parked.
local function is_served(queue)
    return redis.call('ZCOUNT', own .. 'served:' .. queue, digits(now - SERVED), '+inf') > 0
end

local function wake(queue)
    redis.call('PUBLISH', cfg.channel, cfg.sender .. 'q' .. queue)
end

local function text(value)
    return type(value) == 'string' and value ~= '' and value or nil
end

-- Days from 1970-01-01 to a day of the Gregorian calendar.
local function days(year, month, day)
    if month <= 2 then year = year - 1 end
    local era = math.floor(year / 400)
    local of_era = year - era * 400
    local of_year = math.floor((153 * ((month + 9) % 12) + 2) / 5) + day - 1
    return era * 146097 + of_era * 365 + math.floor(of_era / 4) - math.floor(of_era / 100) + of_year - 719468
end

-- Reads ISO 8601 as Celery's senders write it, in microseconds; without an offset it is UTC.
local function instant(value)
    if not text(value) then return nil end
    local year, month, day, rest = value:match('^(%d%d%d%d)%-(%d%d)%-(%d%d)(.*)$')
    if not year then return nil end
    local seconds = days(tonumber(year), tonumber(month), tonumber(day)) * 86400
    local hour, minute, second, zone = rest:match('^[T ](%d%d):(%d%d):(%d%d)(.*)$')
    if not hour then
        return rest == '' and seconds * 1000000 or nil
    end
    seconds = seconds + tonumber(hour) * 3600 + tonumber(minute) * 60 + tonumber(second)
    local fraction = ((zone:match('^[.,](%d+)') or '') .. '000000'):sub(1, 6)
    local sign, hours, minutes = zone:match('([+-])(%d%d):?(%d%d)')
    if sign then
        local offset = tonumber(hours) * 3600 + tonumber(minutes) * 60
        seconds = seconds - (sign == '-' and -offset or offset)
    end
    return seconds * 1000000 + tonumber(fraction)
end

-- Reads JSON; returns whether it could be read, and what it says.
local function decoded(json)
    local read, value = pcall(cjson.decode, json)
    if not read then
        -- Python writes halves of surrogate pairs, which this decoder refuses; nothing of what is read here has any.
        read, value = pcall(cjson.decode, (json:gsub('\\u[dD][89a-fA-F]%x%x', '\\ufffd')))
    end
    return read, value
end

-- Reads what the queue has to know of a message; `told` says that Celery's own header tells its time.
-- Returns nil and a reason where it can't be read.
local function facts_of(raw)
    local read, message = decoded(raw)
    if not read or type(message) ~= 'table' then return nil, 'it is no JSON object' end
    local properties, headers = message.properties, message.headers
    if type(properties) ~= 'table' then return nil, 'it has no properties' end
    if type(headers) ~= 'table' then return nil, 'it has no headers' end
    if type(message.body) ~= 'string' then return nil, 'its body is no text' end
    local mark = type(properties.celeriac) == 'table' and properties.celeriac or {}
    local facts = { id = text(mark.id) or text(headers.id) or text(properties.correlation_id) }
    if not facts.id then return nil, 'it has no id' end
    if mark.due_at == nil then
        facts.due = instant(headers.eta)
        facts.told = facts.due ~= nil
    elseif type(mark.due_at) == 'number' then
        facts.due = mark.due_at
    end
    -- Python writes infinities and what is no number at all.
    if facts.due and not (math.abs(facts.due) < LAST_INSTANT) then facts.due = nil end
    facts.unique = text(mark.unique_key)
    local info = type(properties.delivery_info) == 'table' and properties.delivery_info or {}
    facts.exchange, facts.key = info.exchange, info.routing_key
    return facts
end

-- Forgets what is known of a job beside its message, and sets its unique key free.
local function forget(id)
    local record = record_of(id)
    local unique = redis.call('HGET', record, 'u')
    if unique and redis.call('GET', own .. 'unique:' .. unique) == id then
        redis.call('DEL', own .. 'unique:' .. unique)
    end
    redis.call('DEL', record)
end

-- Puts a message to the dead letters with its bytes; returns its key.
local function bury(raw, queue, id, reason, detail, deliveries, attempts)
    local key = redis.call('INCR', own .. 'dead:last')
    id = id or ('undecodable-' .. key)
    redis.call('HSET', own .. 'dead:' .. key, 'raw', raw, 'queue', queue, 'id', id, 'reason', reason,
        'detail', detail, 'd', deliveries or 0, 'a', attempts or 0, 'at', digits(now))
    redis.call('ZADD', own .. 'dead', key, key)
    redis.call('ZADD', own .. 'dead:ids', 0, id .. '\0' .. string.format('%016d', key))
    return key
end

-- Keeps what is known of a job, and its unique key, for so many milliseconds from now.
local function keep(record, milliseconds)
    redis.call('PEXPIRE', record, digits(milliseconds))
    local unique = redis.call('HGET', record, 'u')
    if unique then redis.call('PEXPIRE', own .. 'unique:' .. unique, digits(milliseconds)) end
end

-- Lets a message wait for its time, under a name that is used once.
local function park(name, raw, queue, step, id, due)
    redis.call('HSET', parked, name, step .. raw)
    redis.call('ZADD', delayed_of(queue), digits(due), name)
    redis.call('SADD', waiting, queue)
    local record = record_of(id)
    redis.call('HSET', record, 'q', queue, 's', 'd', 'k', step, 't', name, 'ra', digits(due))
    keep(record, cfg.keep + math.max(0, math.ceil((due - now) / 1000)))
end

-- Says how old a message is: the lower, the older. Nil where nothing is known of it.
local function age_of(raw)
    local facts = facts_of(raw)
    return facts and tonumber(redis.call('HGET', record_of(facts.id), 'n') or nil)
end

-- Makes a message the next of its list, but for older ones among the first `walk`, which stay before it.
local function push_back(raw, queue, step, id, ready_at, walk)
    local list, record, older = list_of(queue, step), record_of(id), {}
    local age = walk > 0 and tonumber(redis.call('HGET', record, 'n') or nil)
    while age and #older < walk do
        local next_one = redis.call('LINDEX', list, -1)
        local its_age = next_one and age_of(next_one)
        if not its_age or its_age > age then break end
        older[#older + 1] = redis.call('RPOP', list)
    end
    redis.call('RPUSH', list, raw)
    for i = #older, 1, -1 do redis.call('RPUSH', list, older[i]) end
    redis.call('HSET', record, 'q', queue, 's', 'r', 'k', step, 't', '', 'ra', digits(ready_at))
    keep(record, cfg.keep)
end

-- Hands what has fallen due to its list, at most `limit` of each queue, the earliest first in line.
local function promote(limit)
    for _, queue in ipairs(redis.call('SMEMBERS', waiting)) do
        local delayed = delayed_of(queue)
        local due = redis.call('ZRANGE', delayed, '-inf', digits(now), 'BYSCORE', 'LIMIT', 0, limit, 'WITHSCORES')
        for i = #due - 1, 1, -2 do
            local name = due[i]
            local value = redis.call('HGET', parked, name)
            if value then
                local step, raw = tonumber(value:sub(1, 1)), value:sub(2)
                local facts, reason = facts_of(raw)
                if facts then
                    push_back(raw, queue, step, facts.id, tonumber(due[i + 1]), 0)
                else
                    bury(raw, queue, nil, 'undecodable', reason)
                end
                redis.call('HDEL', parked, name)
            end
            redis.call('ZREM', delayed, name)
        end
        if #due > 0 and redis.call('EXISTS', delayed) == 0 then
            redis.call('SREM', waiting, queue)
        end
    end
end

-- Returns who holds a tag of ours and what: { id, queue, step, length of the message, holder }.
local function holding(tag)
    local packed = redis.call('HGET', held, tag)
    return packed and cmsgpack.unpack(packed) or nil
end

-- Returns the message under a tag of ours, as it was popped; nil if a peer has put it back meanwhile.
local function message_under(tag, holds)
    local value = redis.call('HGET', unacked, tag)
    return value and value:sub(2, 1 + holds[4]) or nil
end

-- Lets go of a tag.
local function drop_tag(tag)
    redis.call('HDEL', unacked, tag)
    redis.call('ZREM', unacked_index, tag)
    redis.call('HDEL', held, tag)
    redis.call('ZREM', leases, tag)
end

-- Takes back up to `limit` of our own leases that have ended; other workers' tags are none of our business.
local function take_back(limit)
    local ended = redis.call('ZRANGE', leases, '-inf', digits(now), 'BYSCORE', 'LIMIT', 0, limit, 'WITHSCORES')
    for i = #ended - 1, 1, -2 do
        local tag = ended[i]
        local holds = holding(tag)
        local raw = holds and message_under(tag, holds)
        if raw then
            push_back(raw, holds[2], holds[3], holds[1], tonumber(ended[i + 1]), 0)
            redis.call('HINCRBY', record_of(holds[1]), 'l', 1)
        end
        drop_tag(tag)
    end
end

-- Says whether nothing is left of a job but what is known of it: Python workers take messages, and put back what
-- we held, without telling us; what was in a list that is empty is gone. The second value: whether anything is known.
local function is_gone(id)
    local known = redis.call('HMGET', record_of(id), 's', 'q', 'k', 't')
    local state = known[1]
    if not state then return true, false end
    local in_list = state == 'r' or state == 'h' and redis.call('HEXISTS', unacked, known[4]) == 0
    return in_list and redis.call('LLEN', list_of(known[2], tonumber(known[3]))) == 0, true
end

-- Says whether a message waits for its time in the place where only our workers look. Where none of them takes from
-- its queue it goes to the list as Celery sends it, and whoever pops it looks at its header.
local function is_to_be_parked(queue, due, raw)
    if due == '' or tonumber(due) <= now then return false end
    if is_served(queue) then return true end
    local facts = facts_of(raw)
    return not (facts and facts.told)
end

-- Stores a message, unless its id or unique key is in a queue already: then returns that job's id.
local function enter(id, queue, step, due, unique, raw, name)
    local record = record_of(id)
    local holder_of_key = unique ~= '' and redis.call('GET', own .. 'unique:' .. unique)
    for _, other in ipairs({ id, holder_of_key or nil }) do
        local gone, known = is_gone(other)
        if not gone then return other end
        if known then forget(other) end
    end
    if is_to_be_parked(queue, due, raw) then
        park(name, raw, queue, step, id, tonumber(due))
    else
        local ready_at = due ~= '' and math.max(now, tonumber(due)) or now
        redis.call('LPUSH', list_of(queue, step), raw)
        redis.call('HSET', record, 'q', queue, 's', 'r', 'k', step, 'ra', digits(ready_at))
        redis.call('PEXPIRE', record, digits(cfg.keep + math.ceil((ready_at - now) / 1000)))
    end
    redis.call('HSET', record, 'n', redis.call('INCR', own .. 'last'))
    if unique ~= '' then
        redis.call('SET', own .. 'unique:' .. unique, id, 'PX', redis.call('PTTL', record))
        redis.call('HSET', record, 'u', unique)
    end
    return false
end
