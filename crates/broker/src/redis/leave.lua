-- Notes that a worker takes from these queues no more. ARGV from 3: its name, how many messages to move at most; then
-- the queues. Where no other worker of ours is left, what waits for its time goes back to the lists, for whoever pops
-- it there looks at its header. Returns how many were moved: as many as asked for means that there may be more.

local holder, limit = ARGV[3], tonumber(ARGV[4])
local moved = 0

need_room()

local function hand_over(queue)
    local delayed = delayed_of(queue)
    for _, name in ipairs(redis.call('ZRANGE', delayed, 0, limit - moved - 1)) do
        local value = redis.call('HGET', parked, name)
        if value then
            local step, raw = tonumber(value:sub(1, 1)), value:sub(2)
            redis.call('LPUSH', list_of(queue, step), raw)
            redis.call('HDEL', parked, name)
        end
        redis.call('ZREM', delayed, name)
        moved = moved + 1
    end
    if redis.call('EXISTS', delayed) == 0 then redis.call('SREM', waiting, queue) end
end

for i = 5, #ARGV do
    local queue = ARGV[i]
    redis.call('ZREM', own .. 'served:' .. queue, holder)
    if moved < limit and not is_served(queue) then
        hand_over(queue)
        wake(queue)
    end
end
return moved
