-- Takes dead letters out of the grave. ARGV[3]: 'drop', then the keys: returns how many there were.
-- Or 'revive', then one key and the seven of a message as for publishing: returns nil if there is no such letter,
-- else { id of the job that is in the way or nil }.

local function drop(key)
    local name = own .. 'dead:' .. key
    local id = redis.call('HGET', name, 'id')
    if not id then return 0 end
    redis.call('ZREM', own .. 'dead:ids', id .. '\0' .. string.format('%016d', key))
    redis.call('ZREM', own .. 'dead', key)
    return redis.call('DEL', name)
end

if ARGV[3] == 'drop' then
    local dropped = 0
    for i = 4, #ARGV do dropped = dropped + drop(ARGV[i]) end
    return dropped
end

if redis.call('EXISTS', own .. 'dead:' .. ARGV[4]) == 0 then return false end
need_list(ARGV[6], tonumber(ARGV[7]))
local answer = enter({ { ARGV[5], ARGV[6], tonumber(ARGV[7]), ARGV[8], ARGV[9], ARGV[10], ARGV[11] } })[1]
if not answer then
    drop(ARGV[4])
    wake(ARGV[6])
end
return { answer }
