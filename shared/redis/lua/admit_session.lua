-- Puts a session in its principal's index unless that is full. KEYS[1]: the index. ARGV: session, the most that it may hold
-- Returns 1, or 0 when it is full.
if redis.call('ZSCORE', KEYS[1], ARGV[1]) then return 1 end -- sent again
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then return 0 end
local time = redis.call('TIME')
redis.call('ZADD', KEYS[1], time[1] * 1000 + math.floor(time[2] / 1000), ARGV[1])
return 1
