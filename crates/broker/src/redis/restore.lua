-- Puts back what Python workers took and have held for too long, as they do among themselves: such a worker is dead, or
-- overdue by its own rules. Our own tags have leases of their own. ARGV from 3: visibility timeout in microseconds, how
-- many messages at most, priority steps as JSON. Returns how many were put back.

local timeout, limit, steps = tonumber(ARGV[3]), tonumber(ARGV[4]), cjson.decode(ARGV[5])

-- A Python worker that is at it already holds this.
if redis.call('EXISTS', prefix .. 'unacked_mutex') == 1 then return 0 end

local overdue = string.format('%.6f', (now - timeout) / 1000000)
local tags = redis.call('ZRANGE', unacked_index, '-inf', overdue, 'BYSCORE', 'LIMIT', 0, limit)
if #tags == 0 then return 0 end
need_room()

-- Says in a message, where Celery does, that it has been handed out before.
local function redelivered(raw)
    for _, name in ipairs({ '"headers": ', '"delivery_info": ' }) do
        local from, to = raw:find(name .. '{', 1, true)
        if from and raw:sub(to + 1, to + 19) ~= '"redelivered": true' then
            local comma = raw:sub(to + 1, to + 1) == '}' and '' or ', '
            raw = raw:sub(1, to) .. '"redelivered": true' .. comma .. raw:sub(to + 1)
        end
    end
    return raw
end

local function step_of(message)
    local properties = type(message.properties) == 'table' and message.properties or {}
    local priority, found = tonumber(properties.priority) or 0, 0
    for i, step in ipairs(steps) do
        if step <= priority then found = i - 1 end
    end
    return found
end

-- Says whether a key of routing fits a binding, whose words may be `*` or `#` as kombu reads them.
local function fits(bound, key)
    local words = {}
    for word in (bound .. '.'):gmatch('(.-)%.') do
        if word == '*' then
            words[#words + 1] = '.-[^%.]'
        elseif word == '#' then
            words[#words + 1] = '.-'
        else
            words[#words + 1] = (word:gsub('%p', '%%%0'))
        end
    end
    return key:match('^' .. table.concat(words, '%.') .. '$') ~= nil
end

-- Returns the queues that an exchange leads to by this key; the exchange without a name leads to the queue of that name.
local function queues_of(exchange, key)
    if exchange == '' then return { key } end
    local queues = {}
    for _, member in ipairs(redis.call('SMEMBERS', prefix .. '_kombu.binding.' .. exchange)) do
        local first = member:find(cfg.separator, 1, true)
        local second = first and member:find(cfg.separator, first + #cfg.separator, true)
        if second then
            local bound = member:sub(1, first - 1)
            local is_topic = member:sub(first + #cfg.separator, second - 1) ~= ''
            if bound == key or is_topic and fits(bound, key) then
                queues[#queues + 1] = member:sub(second + #cfg.separator)
            end
        end
    end
    return queues
end

local count = 0
for _, tag in ipairs(tags) do
    if redis.call('HEXISTS', held, tag) == 0 then
        local value = redis.call('HGET', unacked, tag)
        local read, triple = decoded(value or '')
        local raw = read and value:match('^%[(.*), "[^"]*", "[^"]*"%]$')
        local message, exchange, key = raw and triple[1], raw and text(triple[2]) or '', raw and text(triple[3]) or ''
        local queues = type(message) == 'table' and key ~= '' and queues_of(exchange, key) or {}
        if #queues > 0 then
            for _, queue in ipairs(queues) do
                redis.call('RPUSH', list_of(queue, step_of(message)), redelivered(raw))
                wake(queue)
            end
            count = count + 1
            redis.call('HDEL', unacked, tag)
            redis.call('ZREM', unacked_index, tag)
        elseif value then
            local facts = raw and facts_of(raw)
            local detail = facts and 'no queue is bound to its key' or 'it can not be read'
            bury(raw or value, key, facts and facts.id, 'undecodable', 'a Python worker held it, and ' .. detail)
            redis.call('HDEL', unacked, tag)
            redis.call('ZREM', unacked_index, tag)
        else
            -- It is acknowledged, and only its place in the index was left.
            redis.call('ZREM', unacked_index, tag)
        end
    end
end
return count
