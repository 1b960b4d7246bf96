-- Settles leases in the given order. ARGV from 4, five for each: tag, kind, and by kind
--   'ack': nothing more; 'requeue': new message or '', new due time or '', 1 if the attempt counts;
--   'reject': reason, detail.
-- Before them, ARGV[3]: among how many of the next messages one that goes back finds its old place.
-- Returns 1 for each that was done and 0 for each whose lease was lost.

local walk = tonumber(ARGV[3])
local answers, back, woken = {}, {}, {}

for i = 4, #ARGV, 5 do
    if ARGV[i + 1] ~= 'ack' then
        need_room()
        break
    end
end

-- Keeps what is known of a job only as long as it is this message that is known.
local function finish(id, tag)
    if redis.call('HGET', record_of(id), 't') == tag then forget(id) end
end

local function requeue(tag, holds, raw, due, charged)
    local id, queue, step = holds[1], holds[2], holds[3]
    local record = record_of(id)
    redis.call('HDEL', record, 'l')
    if charged ~= '1' then redis.call('HINCRBY', record, 'a', -1) end
    if due ~= '' and tonumber(due) > now then
        park(tag, raw, queue, step, id, tonumber(due))
    else
        local since = due ~= '' and now or tonumber(redis.call('HGET', record, 'ra')) or now
        back[#back + 1] = { raw, queue, step, id, since, walk }
    end
    woken[queue] = true
end

for i = 4, #ARGV, 5 do
    local tag, kind = ARGV[i], ARGV[i + 1]
    local holds = holding(tag)
    local raw = holds and message_under(tag, holds)
    if not raw then
        answers[#answers + 1] = 0
        if holds then drop_tag(tag) end
    else
        drop_tag(tag)
        if kind == 'ack' then
            finish(holds[1], tag)
        elseif kind == 'reject' then
            local counts = redis.call('HMGET', record_of(holds[1]), 'd', 'a')
            bury(raw, holds[2], holds[1], ARGV[i + 2], ARGV[i + 3], counts[1], counts[2])
            finish(holds[1], tag)
        else
            requeue(tag, holds, ARGV[i + 2] ~= '' and ARGV[i + 2] or raw, ARGV[i + 3], ARGV[i + 4])
        end
        answers[#answers + 1] = 1
    end
end

-- The first of them is to be the first again, so it is put back last.
for i = #back, 1, -1 do push_back(unpack(back[i])) end
for queue in pairs(woken) do wake(queue) end
return answers
