-- Stores messages in the given order. ARGV from 3, seven for each: id, queue, step, due time or '', unique key or '',
-- message, a fresh name. Returns for each the id of the job that is in the way, or nil.

local messages, seen = {}, {}
for i = 3, #ARGV, 7 do
    local queue, step = ARGV[i + 1], tonumber(ARGV[i + 2])
    local list = list_of(queue, step)
    if not seen[list] then
        seen[list] = queue
        need_list(queue, step)
    end
    messages[#messages + 1] = { ARGV[i], queue, step, ARGV[i + 3], ARGV[i + 4], ARGV[i + 5], ARGV[i + 6] }
end

local answers, woken = enter(messages), {}
for _, queue in pairs(seen) do
    if not woken[queue] then
        woken[queue] = true
        wake(queue)
    end
end
return answers
