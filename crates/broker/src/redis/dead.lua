-- Reads dead letters. ARGV[3]: 'page', then before which key ('' for the newest) and how many;
-- or 'find', then a job's id.
-- Returns { key, message, queue, id, reason, detail, hand-outs, attempts, time of death } for each, the newest first.

local letters = {}

local function add(key)
    local letter = redis.call('HMGET', own .. 'dead:' .. key, 'raw', 'queue', 'id', 'reason', 'detail', 'd', 'a', 'at')
    if letter[1] then
        table.insert(letter, 1, tonumber(key))
        for _, place in ipairs({ 7, 8, 9 }) do letter[place] = tonumber(letter[place]) or 0 end
        letters[#letters + 1] = letter
    end
end

if ARGV[3] == 'page' then
    local before = ARGV[4] == '' and '+inf' or ('(' .. ARGV[4])
    for _, key in ipairs(redis.call('ZRANGE', own .. 'dead', before, '-inf', 'BYSCORE', 'REV', 'LIMIT', 0, ARGV[5])) do
        add(key)
    end
else
    local first, last = '[' .. ARGV[4] .. '\0', '(' .. ARGV[4] .. '\1'
    local newest = redis.call('ZRANGE', own .. 'dead:ids', last, first, 'BYLEX', 'REV', 'LIMIT', 0, 1)[1]
    if newest then add(string.format('%d', tonumber(newest:sub(-16)))) end
end
return letters
