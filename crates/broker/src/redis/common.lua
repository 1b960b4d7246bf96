-- What all scripts of this transport share; it stands before each of them.
-- ARGV[1]: settings as JSON: prefix, suffixes (of the lists of one queue, first served first), separator,
--          channel, sender, keep (milliseconds). ARGV[2]: the time in microseconds, or '' for this server's own.
-- A script that takes a message from one place has made sure before that it can put it into the next.
-- A script that has begun to write is not refused memory any more, and is never stopped half-way by the server.

local cfg = cjson.decode(ARGV[1])
local prefix, own = cfg.prefix, cfg.prefix .. 'celeriac:'
local unacked, unacked_index = prefix .. 'unacked', prefix .. 'unacked_index'
local leases, held, holding, parked = own .. 'leases', own .. 'held', own .. 'holding', own .. 'parked'
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

-- How many values one call hands over: Lua's stack has room for some thousands.
local MANY = 2000

-- Calls a command on a key with all values, in as few calls as can be; `key` may be nil. Nothing is called without values.
-- Returns the sum of what was answered, of a command that answers with numbers.
local function call_with(command, key, values)
    local sum = 0
    for first = 1, #values, MANY do
        local last = math.min(first + MANY - 1, #values)
        local answer
        if key then
            answer = redis.call(command, key, unpack(values, first, last))
        else
            answer = redis.call(command, unpack(values, first, last))
        end
        if type(answer) == 'number' then sum = sum + answer end
    end
    return sum
end

-- Returns one value for each of the names: of a hash, or of all keys where `key` is nil. What is not there is false.
local function values_of(command, key, names)
    local values = {}
    for first = 1, #names, MANY do
        local last = math.min(first + MANY - 1, #names)
        local some
        if key then
            some = redis.call(command, key, unpack(names, first, last))
        else
            some = redis.call(command, unpack(names, first, last))
        end
        for i = 1, last - first + 1 do values[first + i - 1] = some[i] end
    end
    return values
end

local function record_of(id)
    return own .. 'job:' .. id
end

-- What is known of a job beside its message: q queue, s 'r' in its list or 'd' parked, k step, t name under which it is
-- parked, ra since when it is ready, n its place in time, d hand-outs, a attempts, l lost holders, c why it is to be
-- cancelled, u unique key. Of one that is held, whose counts `held` has, it tells what was known before.
local function known_of(id)
    local packed = redis.call('GET', record_of(id))
    return packed and cmsgpack.unpack(packed) or nil
end

local function note(id, known, milliseconds)
    redis.call('SET', record_of(id), cmsgpack.pack(known), 'PX', digits(milliseconds))
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

-- Fails here, before anything is taken, where something else has the names under which Celery keeps what is held.
local function need_places()
    redis.call('HLEN', unacked)
    redis.call('ZCARD', unacked_index)
end

-- Notes that a worker of ours takes from a queue. It is a first write: it fails, like `need_room`, where there is none.
local function serve(queue, holder)
    local served = own .. 'served:' .. queue
    redis.call('ZADD', served, digits(now), holder)
    redis.call('ZREMRANGEBYSCORE', served, '-inf', '(' .. digits(now - SERVED))
end

local served = {}

-- Says whether a worker of ours takes from a queue, which will hand on in time what is parked.
local function is_served(queue)
    if served[queue] == nil then
        served[queue] = redis.call('ZCOUNT', own .. 'served:' .. queue, digits(now - SERVED), '+inf') > 0
    end
    return served[queue]
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

-- How Celery and we write a message, field by field in this order: what follows its body, and its end. What these go over
-- has no escapes, and both are bound to a place, so each field found is the field that it seems to be.
local BEGIN, SENT_TO = '{"body": "', '"delivery_info": {"exchange": "'
local HEAD = '^", "content%-encoding": "[%w-]*", "content%-type": "[%w/.+-]*", "headers": {"lang": ?"%w*", '
    .. '?"task": ?"[^"\\]*", ?"id": ?"([^"\\]+)", ?"shadow": ?null, ?"eta": ?"?([^,"\\]*)"?, ?"'
local TAIL = '^([^"\\]*)", "routing_key": "([^"\\]*)"}, "priority": %d+, "body_encoding": "base64", '
    .. '"delivery_tag": "[^"\\]*"}}$'

-- How much of a message's end is looked at for the place where it was sent.
local LONGEST_TAIL = 512

-- Reads what the queue has to know of a message that stands as it is usually written: its id, its time as Celery's header
-- tells it ('null' for none), the exchange and the key by which it was sent. Returns nil of any other. Should something
-- else in it be broken, whoever takes it finds that. A string of a whole message, and even a table, costs Lua more than
-- all of this, so none is made.
local function usual_facts_of(raw)
    -- The first quote after the beginning ends the body, unless it is an escaped one, which no comma follows like this.
    local body_ends = raw:find('"', #BEGIN + 1, true)
    local id, eta = raw:match(HEAD, body_ends or #raw)
    local _, sent_to = raw:find(SENT_TO, -LONGEST_TAIL, true)
    if not id or not sent_to or raw:find(BEGIN, 1, true) ~= 1 then return nil end
    local exchange, key = raw:match(TAIL, sent_to + 1)
    if exchange then return id, eta, exchange, key end
end

-- Reads what the queue has to know of a message; `told` says that Celery's own header tells its time.
-- Returns nil and a reason where it can't be read.
local function facts_of(raw)
    local id, eta, exchange, key = usual_facts_of(raw)
    if id then
        local due = eta ~= 'null' and instant(eta) or nil
        return { id = id, due = due, told = due ~= nil, exchange = exchange, key = key }
    end
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

-- Sets a job's unique key free, where it is still the job's.
local function free(id, unique)
    if unique and redis.call('GET', own .. 'unique:' .. unique) == id then
        redis.call('DEL', own .. 'unique:' .. unique)
    end
end

-- Forgets what is known of a job beside its message, and sets its unique key free.
local function forget(id)
    local known = known_of(id)
    if known then
        free(id, known.u)
        redis.call('DEL', record_of(id))
    end
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

-- Keeps a unique key for so many milliseconds from now.
local function keep_unique(unique, milliseconds)
    if unique then redis.call('PEXPIRE', own .. 'unique:' .. unique, digits(milliseconds)) end
end

-- How long it is known of a job that it is ready or due then.
local function keep_until(instant_then)
    return cfg.keep + math.max(0, math.ceil((instant_then - now) / 1000))
end

-- Lets a message wait for its time, under a name that is used once; `known` is what is known of its job besides.
local function park(name, raw, queue, step, id, due, known)
    redis.call('HSET', parked, name, step .. raw)
    redis.call('ZADD', delayed_of(queue), digits(due), name)
    redis.call('SADD', waiting, queue)
    known.q, known.s, known.k, known.t, known.ra = queue, 'd', step, name, due
    note(id, known, keep_until(due))
    keep_unique(known.u, keep_until(due))
end

-- Says how old a message is: the lower, the older. Nil where nothing is known of it.
local function age_of(raw)
    local facts = facts_of(raw)
    local known = facts and known_of(facts.id)
    return known and known.n
end

-- Makes a message the next of its list, but for older ones among the first `walk`, which stay before it.
local function push_back(raw, queue, step, id, ready_at, walk, known)
    local list, older = list_of(queue, step), {}
    local age = walk > 0 and known.n
    while age and #older < walk do
        local next_one = redis.call('LINDEX', list, -1)
        local its_age = next_one and age_of(next_one)
        if not its_age or its_age > age then break end
        older[#older + 1] = redis.call('RPOP', list)
    end
    redis.call('RPUSH', list, raw)
    for i = #older, 1, -1 do redis.call('RPUSH', list, older[i]) end
    known.q, known.s, known.k, known.t, known.ra = queue, 'r', step, nil, ready_at
    note(id, known, cfg.keep)
    keep_unique(known.u, cfg.keep)
end

-- Hands what has fallen due to its list, at most `limit` of each queue, the earliest first in line. Returns the queues of
-- which messages wait. Whoever reads a record that says 'd' looks whether the message is still parked.
-- Of the queues that are `asked` for up to `most` messages, each a table, no more than these are taken, and they are left
-- in the queue's table by their list, the first in line last: most of them go on at once.
local function promote(limit, asked, most)
    local still = {}
    for _, queue in ipairs(redis.call('SMEMBERS', waiting)) do
        local delayed, fallen_due = delayed_of(queue), asked and asked[queue]
        local count = fallen_due and math.min(limit, most) or limit
        local due = redis.call('ZRANGE', delayed, '-inf', digits(now), 'BYSCORE', 'LIMIT', 0, count)
        if #due > 0 then
            local lists, values = {}, values_of('HMGET', parked, due)
            for i = #due, 1, -1 do
                local value = values[i]
                if value then
                    local list = list_of(queue, tonumber(value:sub(1, 1)))
                    lists[list] = lists[list] or {}
                    table.insert(lists[list], value:sub(2))
                end
            end
            for list in pairs(lists) do redis.call('LLEN', list) end
            for list, raws in pairs(lists) do
                if fallen_due then fallen_due[list] = raws else call_with('RPUSH', list, raws) end
            end
            call_with('HDEL', parked, due)
            call_with('ZREM', delayed, due)
        end
        if #due > 0 and redis.call('EXISTS', delayed) == 0 then
            redis.call('SREM', waiting, queue)
        else
            still[#still + 1] = queue
        end
    end
    return still
end

-- Returns who holds a tag of ours and what: { id, queue, step, length of the message, holder, then what is known of its
-- job: n, ra, d, a, l, c, u as in its record, false for what is not; when its first lease ends }.
local function holds_of(tag)
    local packed = redis.call('HGET', held, tag)
    return packed and cmsgpack.unpack(packed) or nil
end

local HOLDS_N, HOLDS_D, HOLDS_A, HOLDS_C, HOLDS_U, HOLDS_END = 6, 8, 9, 11, 12, 13

-- The leases of one fetch end together, so up to this many of them stand in one place, '<how their tags begin>*<first
-- number>*<last number>', which stays until then. A lease that was renewed has a place of its own, its tag.
local TOGETHER = 100

local function tag_of_number(stem, number)
    return stem .. string.format('%06d', number)
end

-- Returns the tags whose leases end at a place.
local function tags_at(place)
    local stem, first, last = place:match('^(.*)%*(%d+)%*(%d+)$')
    if not stem then return { place } end
    local tags, ended = {}, {}
    for number = tonumber(first), tonumber(last) do tags[#tags + 1] = tag_of_number(stem, number) end
    local holds, renewed = values_of('HMGET', held, tags), values_of('ZMSCORE', leases, tags)
    for i, tag in ipairs(tags) do
        if holds[i] and not renewed[i] then ended[#ended + 1] = tag end
    end
    return ended
end

-- Says when a lease ends.
local function end_of(tag, holds)
    return tonumber(redis.call('ZSCORE', leases, tag)) or holds[HOLDS_END]
end

-- Returns the message under a tag of ours, as it was popped; nil if a peer has put it back meanwhile.
local function message_under(tag, holds)
    local value = redis.call('HGET', unacked, tag)
    return value and value:sub(2, 1 + holds[4]) or nil
end

-- Returns the tag under which one of ours holds a job's message, and who and what; nil where a peer has put it back.
local function tag_of(id)
    local tag = redis.call('HGET', holding, id)
    if tag and redis.call('HEXISTS', unacked, tag) == 1 then
        return tag, holds_of(tag)
    end
end

-- Lets go of tags that are in Celery's index no more, and of the jobs that were held under them; returns these.
local function drop_held(tags, ids)
    call_with('HDEL', unacked, tags)
    call_with('HDEL', held, tags)
    call_with('ZREM', leases, tags)
    local of_these = {}
    for i, tag in ipairs(values_of('HMGET', holding, ids)) do
        if tag == tags[i] then of_these[#of_these + 1] = ids[i] end
    end
    call_with('HDEL', holding, of_these)
    return of_these
end

-- Lets go of tags, and of the jobs that were held under them.
local function drop_tags(tags, ids)
    call_with('ZREM', unacked_index, tags)
    return drop_held(tags, ids)
end

-- Returns what is known of a job that was held, with the counts of that time.
local function known_after(holds)
    local known = known_of(holds[1]) or {}
    local asked_to_stop = known.c or holds[HOLDS_C]
    for i, name in ipairs({ 'n', 'ra', 'd', 'a', 'l', 'c', 'u' }) do known[name] = holds[HOLDS_N - 1 + i] or nil end
    known.c = asked_to_stop or nil
    return known
end

-- Lets go of a tag under which nothing lies any more: a peer has put the message back, and counts go on.
local function drop_lost(tag, holds)
    if redis.call('HGET', holding, holds[1]) == tag then
        local known = known_after(holds)
        known.q, known.s, known.k, known.t = holds[2], 'r', holds[3], nil
        note(holds[1], known, cfg.keep)
    end
    drop_tags({ tag }, { holds[1] })
end

-- Takes back up to `limit` of our own leases that have ended; other workers' tags are none of our business.
local function take_back(limit)
    local places = redis.call('ZRANGE', leases, '-inf', digits(now), 'BYSCORE', 'LIMIT', 0, limit, 'WITHSCORES')
    local ended, past = {}, {}
    for i = 1, #places, 2 do
        if #ended >= limit then break end
        past[#past + 1] = places[i]
        for _, tag in ipairs(tags_at(places[i])) do ended[#ended + 1] = { tag, tonumber(places[i + 1]) } end
    end
    for i = #ended, 1, -1 do
        local tag, ended_at = unpack(ended[i])
        local holds = holds_of(tag)
        local raw = holds and message_under(tag, holds)
        if raw then
            local known = known_after(holds)
            known.l = (known.l or 0) + 1
            push_back(raw, holds[2], holds[3], holds[1], ended_at, 0, known)
            drop_tags({ tag }, { holds[1] })
        elseif holds then
            drop_lost(tag, holds)
        else
            drop_tags({ tag }, { '' })
        end
    end
    call_with('ZREM', leases, past)
end

-- Says whether nothing is left of a job but what is known of it: Python workers take messages, and put back what
-- we held, without telling us; what was in a list that is empty is gone.
local function is_gone(id, known)
    if tag_of(id) then return false end
    if not known or not known.q then return true end
    if known.s == 'd' and redis.call('HEXISTS', parked, known.t) == 1 then return false end
    return redis.call('LLEN', list_of(known.q, known.k)) == 0
end

-- Says whether a message waits for its time in the place where only our workers look. Where none of them takes from
-- its queue it goes to the list as Celery sends it, and whoever pops it looks at its header.
local function is_to_be_parked(queue, due, raw)
    if due == '' or tonumber(due) <= now then return false end
    if is_served(queue) then return true end
    local facts = facts_of(raw)
    return not (facts and facts.told)
end

-- Stores messages in the given order, each of { id, queue, step, due time or '', unique key or '', message, a fresh name },
-- unless its id or unique key is in a queue already. Returns for each false, or the id of the job that is in the way.
local function enter(messages)
    local ids, records = {}, {}
    for i, message in ipairs(messages) do ids[i], records[i] = message[1], record_of(message[1]) end
    local tags, knowns = values_of('HMGET', holding, ids), values_of('MGET', nil, records)
    local last = redis.call('INCRBY', own .. 'last', #messages) - #messages
    local answers, entered, lists, order = {}, {}, {}, {}

    -- Returns the job that keeps another one of this id out.
    local function in_the_way(id, tag, packed)
        if entered[id] then return true end
        if not tag and not packed then return false end
        local known = packed and cmsgpack.unpack(packed) or nil
        if not is_gone(id, known) then return true end
        if known then free(id, known.u) end
        return false
    end

    -- Returns whose unique key it is, unless that is free.
    local function owner_of(unique)
        local owner = unique ~= '' and redis.call('GET', own .. 'unique:' .. unique)
        if not owner then return nil end
        if in_the_way(owner, true, redis.call('GET', record_of(owner))) then return owner end
        redis.call('DEL', record_of(owner))
    end

    local function store(i, id, queue, step, due, unique, raw, name)
        local known = { n = last + i, u = unique ~= '' and unique or nil }
        local keep = cfg.keep
        if is_to_be_parked(queue, due, raw) then
            park(name, raw, queue, step, id, tonumber(due), known)
            keep = keep_until(tonumber(due))
        else
            local list = list_of(queue, step)
            if not lists[list] then
                lists[list], order[#order + 1] = {}, list
            end
            table.insert(lists[list], raw)
            local ready_at = due ~= '' and math.max(now, tonumber(due)) or now
            known.q, known.s, known.k, known.ra, keep = queue, 'r', step, ready_at, keep_until(ready_at)
            note(id, known, keep)
        end
        if known.u then redis.call('SET', own .. 'unique:' .. unique, id, 'PX', digits(keep)) end
        entered[id] = true
    end

    for i, message in ipairs(messages) do
        local id = message[1]
        local other = in_the_way(id, tags[i], knowns[i]) and id or owner_of(message[5])
        answers[i] = other or false
        if not other then store(i, unpack(message)) end
    end
    for _, list in ipairs(order) do call_with('LPUSH', list, lists[list]) end
    return answers
end
