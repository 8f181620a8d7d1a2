-- Takes out of placement what waited too long. KEYS[1]: the prefix. ARGV: ms. Returns session ids.
local P = KEYS[1]
local time = redis.call('TIME')
local t = time[1] * 1000 + math.floor(time[2] / 1000)
local overdue = redis.call('ZRANGEBYSCORE', P .. ':waiting', '-inf', t - ARGV[1])
for _, sid in ipairs(overdue) do redis.call('ZREM', P .. ':waiting', sid) end
return overdue
