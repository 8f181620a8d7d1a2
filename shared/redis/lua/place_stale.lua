-- Sessions that a worker took and never settled: it died in between. KEYS[1]: the prefix. ARGV: ms after which one counts
-- as such. Returns their ids, each to one caller.
local P = KEYS[1]
local time = redis.call('TIME')
local t = time[1] * 1000 + math.floor(time[2] / 1000)
local stale, taken = {}, redis.call('HGETALL', P .. ':taken')
for i = 1, #taken, 2 do
  if t - tonumber(taken[i + 1]) > tonumber(ARGV[1]) and redis.call('HDEL', P .. ':taken', taken[i]) == 1 then
    stale[#stale + 1] = taken[i]
  end
end
return stale
