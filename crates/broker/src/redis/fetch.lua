-- Leases messages. ARGV from 3: beginning of the tags, how many, lease in microseconds, holder, limit of what is
-- moved beside it; then the queues in the order in which they are asked.
-- Returns the time by which it went, the end of the leases, the next instant at which something falls due or nil, and
-- for each message:
-- { message, queue, number of its tag, hand-outs, attempts, lost holders, reason of a cancellation or nil }.

local stem, max, lease = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local holder, limit = ARGV[6], tonumber(ARGV[7])
local until_then = now + lease
local ends_at = digits(until_then)
local seconds = string.format('%.6f', now / 1000000)

for i = 8, #ARGV do
    for step = 0, #cfg.suffixes - 1 do need_list(ARGV[i], step) end
end
need_places()
for i = 8, #ARGV do serve(ARGV[i], holder) end
take_back(limit)
local fallen_due = {}
for i = 8, #ARGV do
    if redis.call('HEXISTS', paused, ARGV[i]) == 0 then fallen_due[ARGV[i]] = {} end
end
local waiting_queues = promote(limit, fallen_due, max)

-- What has been taken, a list for each thing that is known of it.
local raws, queues, steps, ids, records, sent = {}, {}, {}, {}, {}, {}
local taken, moved = 0, 0

-- Returns what Celery keeps behind a message that is held: the exchange and the key by which it was sent.
local places = {}
local function place_of(exchange, key)
    local of_exchange = places[exchange] or {}
    places[exchange] = of_exchange
    of_exchange[key] = of_exchange[key] or (', ' .. cjson.encode(exchange) .. ', ' .. cjson.encode(key) .. ']')
    return of_exchange[key]
end

local function put(raw, queue, step, id, exchange, key)
    taken = taken + 1
    raws[taken], queues[taken], steps[taken] = raw, queue, step
    ids[taken], records[taken], sent[taken] = id, record_of(id), place_of(exchange, key)
end

local function take(raw, queue, step, is_due)
    local id, eta, exchange, key = usual_facts_of(raw)
    if id and (is_due or eta == 'null') then return put(raw, queue, step, id, exchange, key) end
    local facts, reason = facts_of(raw)
    if not facts then
        moved = moved + 1
        bury(raw, queue, nil, 'undecodable', reason)
    elseif facts.due and facts.due > now and not is_due then
        moved = moved + 1
        park(stem .. 'p' .. moved, raw, queue, step, facts.id, facts.due, known_of(facts.id) or {})
    else
        put(raw, queue, step, facts.id, text(facts.exchange) or '', text(facts.key) or queue)
    end
end

-- Takes the next messages out of a list, the first in line last. To read them and then to cut the list is a good deal
-- cheaper than to pop them.
local function pop(list, count)
    local some = redis.call('LRANGE', list, -count, -1)
    if #some > 0 then redis.call('LTRIM', list, 0, -#some - 1) end
    return some
end

-- Takes the next of what has just fallen due, the first in line last.
local function pop_due(raws, count)
    local some = {}
    for nth = math.max(1, #raws - count + 1), #raws do
        some[#some + 1], raws[nth] = raws[nth], nil
    end
    return some
end

-- The messages have left their place, so nothing that one of them holds may end this.
local function take_all(some, queue, step, is_due)
    for nth = #some, 1, -1 do
        local fine, why = pcall(take, some[nth], queue, step, is_due)
        if not fine then
            moved = moved + 1
            local reason = type(why) == 'table' and why.err or tostring(why)
            bury(some[nth], queue, nil, 'undecodable', reason)
        end
    end
end

local function serve_step(queue, step)
    local list = list_of(queue, step)
    local due = fallen_due[queue][list] or {}
    while taken < max and moved < limit do
        local is_due = #due > 0
        local some = is_due and pop_due(due, max - taken) or pop(list, max - taken)
        if #some == 0 then break end
        take_all(some, queue, step, is_due)
    end
    call_with('RPUSH', list, due)
end

for i = 8, #ARGV do
    if fallen_due[ARGV[i]] then
        for step = 0, #cfg.suffixes - 1 do serve_step(ARGV[i], step) end
    end
end

-- Returns what is known of the job of a message that has been taken, and counts this hand-out.
local function known_now(id, packed, tag)
    local known = packed and cmsgpack.unpack(packed) or {}
    local holds = tag and holds_of(tag)
    -- A peer has put back what one of ours held and has not settled yet.
    if holds then known = known_after(holds) end
    known.d, known.a = (known.d or 0) + 1, (known.a or 0) + 1
    if not known.n then known.n = redis.call('INCR', own .. 'last') end
    if known.u then
        redis.call('PEXPIRE', record_of(id), digits(cfg.keep))
        keep_unique(known.u, cfg.keep)
    end
    return known
end

local answers = {}

-- Nothing here may fail any more: the messages have left their lists.
local function hold()
    local tags, knowns = values_of('HMGET', holding, ids), values_of('MGET', nil, records)
    local messages, index, ends, holds, by_id = {}, {}, {}, {}, {}
    for first = 1, taken, TOGETHER do
        ends[#ends + 1] = ends_at
        ends[#ends + 1] = stem .. '*' .. first .. '*' .. math.min(first + TOGETHER - 1, taken)
    end
    for i = 1, taken do
        local raw, queue, id, one, two = raws[i], queues[i], ids[i], 2 * i - 1, 2 * i
        local known = known_now(id, knowns[i], tags[i])
        local tag = tag_of_number(stem, i)
        messages[one], messages[two] = tag, '[' .. raw .. sent[i]
        index[one], index[two] = seconds, tag
        by_id[one], by_id[two] = id, tag
        holds[one], holds[two] = tag, cmsgpack.pack({
            id, queue, steps[i], #raw, holder, known.n, known.ra or false, known.d, known.a, known.l or false,
            known.c or false, known.u or false, until_then,
        })
        answers[i] = { raw, queue, i, known.d, known.a, known.l or 0, known.c }
    end
    call_with('HSET', unacked, messages)
    call_with('ZADD', unacked_index, index)
    call_with('ZADD', leases, ends)
    call_with('HSET', held, holds)
    call_with('HSET', holding, by_id)
end
if taken > 0 then hold() end

local next_due
local function consider(key)
    local first = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')[2]
    if first and not (next_due and next_due <= tonumber(first)) then next_due = tonumber(first) end
end
-- What was moved away may have stood before messages that are ready.
if moved >= limit then next_due = now end
consider(leases)
-- What was parked just now may be the first of its queue.
if moved > 0 then waiting_queues = redis.call('SMEMBERS', waiting) end
for _, queue in ipairs(waiting_queues) do consider(delayed_of(queue)) end

return { now, until_then, next_due or false, answers }
