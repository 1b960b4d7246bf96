-- Stops a queue from handing out, ARGV[4] 'pause', or lets it again. ARGV[3]: the queue.

if ARGV[4] == 'pause' then
    redis.call('HSETNX', paused, ARGV[3], digits(now))
else
    redis.call('HDEL', paused, ARGV[3])
    wake(ARGV[3])
end
return 1
