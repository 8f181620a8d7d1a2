-- A worker says that it lives. KEYS[1]: the prefix. ARGV: worker, its load (0 to 1)
local P = KEYS[1]
local time = redis.call('TIME')
redis.call('ZADD', P .. ':beats', time[1] * 1000 + math.floor(time[2] / 1000), ARGV[1])
redis.call('ZADD', P .. ':load', ARGV[2], ARGV[1])
return 1
