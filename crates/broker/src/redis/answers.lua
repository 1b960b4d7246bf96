-- Sends results to the lists in which clients wait. ARGV, three for each: key, message, after how many milliseconds a list
-- that nobody empties goes or 0 for never. Returns what was said of those that can't be sent: key, words, ...
-- What will pass (no memory left, only reading) ends the call, and all is sent again.
local refused = {}
for i = 1, #ARGV, 3 do
    local key, message, keep = ARGV[i], ARGV[i + 1], ARGV[i + 2]
    local pushed = redis.pcall('LPUSH', key, message)
    if type(pushed) == 'table' and pushed.err then
        -- The client has named something else, or what we may not touch.
        if not pushed.err:find('WRONGTYPE') and not pushed.err:find('NOPERM') and not pushed.err:find('ermission') then
            return pushed
        end
        refused[#refused + 1] = key
        refused[#refused + 1] = pushed.err
    elseif keep ~= '0' then
        redis.pcall('PEXPIRE', key, keep)
    end
end
return refused
