-- Stores messages in the given order. ARGV from 3, seven for each: id, queue, step, due time or '', unique key or '',
-- message, a fresh name. Returns for each the id of the job that is in the way, or nil.

for i = 3, #ARGV, 7 do need_list(ARGV[i + 1], tonumber(ARGV[i + 2])) end

local answers, woken = {}, {}
for i = 3, #ARGV, 7 do
    local queue = ARGV[i + 1]
    answers[#answers + 1] =
        enter(ARGV[i], queue, tonumber(ARGV[i + 2]), ARGV[i + 3], ARGV[i + 4], ARGV[i + 5], ARGV[i + 6])
    if not woken[queue] then
        woken[queue] = true
        wake(queue)
    end
end
return answers
