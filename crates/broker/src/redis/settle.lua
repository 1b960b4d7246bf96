-- Settles leases in the given order. ARGV from 4, six for each: tag, job, kind, and by kind
--   'ack': '' or 1 if the job has a unique key; 'requeue': new message or '', new due time or '', 1 if the attempt counts;
--   'reject': reason, detail.
-- Before them, ARGV[3]: among how many of the next messages one that goes back finds its old place.
-- Returns 1 for each that was done and 0 for each whose lease was lost.

local walk = tonumber(ARGV[3])
local answers, back, woken = {}, {}, {}
local seen = {}
-- What is acknowledged: the tags, their jobs, which of the answers are theirs, and which of the jobs have a unique key.
local tags, ids, places, unique = {}, {}, {}, {}

for i = 4, #ARGV, 6 do
    if ARGV[i + 2] ~= 'ack' then
        need_room()
        break
    end
end

-- Forgets a job as long as it is this message that is known of it.
local function finish(id, tag)
    if redis.call('HGET', holding, id) == tag then forget(id) end
end

local function requeue(tag, holds, raw, due, charged)
    local id, queue, step = holds[1], holds[2], holds[3]
    local known = known_after(holds)
    known.l = nil
    if charged ~= '1' then known.a = (known.a or 0) - 1 end
    if due ~= '' and tonumber(due) > now then
        park(tag, raw, queue, step, id, tonumber(due), known)
    else
        local since = due ~= '' and now or known.ra or now
        back[#back + 1] = { raw, queue, step, id, since, walk, known }
    end
    woken[queue] = true
end

local function settle(tag, kind, one, two, three)
    local holds = holds_of(tag)
    local raw = holds and message_under(tag, holds)
    if not raw then
        if holds then drop_lost(tag, holds) end
        return 0
    end
    local id = holds[1]
    if kind == 'reject' then
        bury(raw, holds[2], id, one, two, holds[HOLDS_D], holds[HOLDS_A])
        finish(id, tag)
    else
        requeue(tag, holds, one ~= '' and one or raw, two, three)
    end
    drop_tags({ tag }, { id })
    return 1
end

for i = 4, #ARGV, 6 do
    local tag, id, kind, one = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
    local nth = #answers + 1
    if seen[tag] then
        answers[nth] = 0
    elseif kind == 'ack' then
        answers[nth] = 1
        tags[#tags + 1] = tag
        ids[#tags], places[#tags], unique[#tags] = id, nth, one == '1'
    else
        answers[nth] = settle(tag, kind, one, ARGV[i + 4], ARGV[i + 5])
    end
    seen[tag] = true
end

-- Leaves of what is acknowledged only what nobody has put back meanwhile.
local function without_lost()
    local still_tags, still_ids, still_unique = {}, {}, {}
    for i, tag in ipairs(tags) do
        if redis.call('HDEL', unacked, tag) == 1 then
            local nth = #still_tags + 1
            still_tags[nth], still_ids[nth], still_unique[nth] = tag, ids[i], unique[i]
        else
            answers[places[i]] = 0
            local holds = holds_of(tag)
            if holds then drop_lost(tag, holds) end
        end
    end
    tags, ids, unique = still_tags, still_ids, still_unique
end

-- Who puts a message back takes it out of both of Celery's places, so if all are in the index, all are held.
if call_with('ZREM', unacked_index, tags) < #tags then without_lost() end
for i, tag in ipairs(tags) do
    if unique[i] then finish(ids[i], tag) end
end
local forgotten = drop_held(tags, ids)
for i, id in ipairs(forgotten) do forgotten[i] = record_of(id) end
call_with('DEL', nil, forgotten)

-- The first of them is to be the first again, so it is put back last.
for i = #back, 1, -1 do push_back(unpack(back[i])) end
for queue in pairs(woken) do wake(queue) end
return answers
