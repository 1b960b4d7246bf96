-- Keeps results and tells who waits. ARGV, three for each: key, body, how many milliseconds it is kept or 0 for ever.
-- A task that has ended well keeps that result, as in Celery, whose writers and ours put the state first, in JSON and in
-- msgpack. Of what is in YAML or compressed, whoever writes such looks beforehand.
for i = 1, #ARGV, 3 do
    local key, text, keep = ARGV[i], ARGV[i + 1], ARGV[i + 2]
    local known = redis.call('GETRANGE', key, 0, 31)
    if not known:find('^{%s*"status"%s*:%s*"SUCCESS"') and not known:find('^[\128-\143]\166status\167SUCCESS') then
        if keep == '0' then
            redis.call('SET', key, text)
        else
            redis.call('SET', key, text, 'PX', keep)
        end
        redis.call('PUBLISH', key, text)
    end
end
return 1
