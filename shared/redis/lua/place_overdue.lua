-- Takes out of placement what waited too long. KEYS[1]: the prefix. ARGV: ms. Returns session ids.
local P = KEYS[1]
local time = redis.call('TIME')
local t = time[1] * 1000 + math.floor(time[2] / 1000)
local overdue = redis.call('ZRANGEBYSCORE', P .. ':waiting', '-inf', t - ARGV[1])
for _, sid in ipairs(overdue) do
  redis.call('ZREM', P .. ':waiting', sid)
  if redis.call('LREM', P .. ':returning', 1, sid) == 0 then
    for _, principal in ipairs(redis.call('ZRANGE', P .. ':turns', 0, -1)) do
      redis.call('LREM', P .. ':q:' .. principal, 1, sid)
      if redis.call('EXISTS', P .. ':q:' .. principal) == 0 then
        redis.call('ZREM', P .. ':turns', principal)
        redis.call('HDEL', P .. ':weights', principal)
      end
    end
  end
end
return overdue
