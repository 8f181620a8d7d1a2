-- A worker asks for a session. KEYS[1]: the prefix. ARGV: worker, its load (0 to 1), slack, ms after which a worker that
-- did not beat no longer counts
-- Returns {session, 'taken', how many more wait, ms that it waited}, {'', ...} when none waits or another worker is much freer ('yield').
local P = KEYS[1]
local worker, load, slack, lease = unpack(ARGV)
local time = redis.call('TIME')
local t = time[1] * 1000 + math.floor(time[2] / 1000)
for _, dead in ipairs(redis.call('ZRANGEBYSCORE', P .. ':beats', '-inf', t - lease)) do
  redis.call('ZREM', P .. ':beats', dead)
  redis.call('ZREM', P .. ':load', dead)
end
redis.call('ZADD', P .. ':load', load, worker)
redis.call('ZADD', P .. ':beats', t, worker)
local waiting = redis.call('ZCARD', P .. ':waiting')
if waiting == 0 then return { '', 'none', 0 } end
local lowest = tonumber(redis.call('ZRANGE', P .. ':load', 0, 0, 'WITHSCORES')[2])
if tonumber(load) > lowest + tonumber(slack) then return { '', 'yield', waiting } end
local function take(sid)
  local since = sid and redis.call('ZSCORE', P .. ':waiting', sid)
  if not since then return nil end
  redis.call('ZREM', P .. ':waiting', sid)
  redis.call('HSET', P .. ':taken', sid, t)
  return { sid, 'taken', redis.call('ZCARD', P .. ':waiting'), math.max(0, t - math.floor(since)) }
end
while redis.call('LLEN', P .. ':returning') > 0 do
  local taken = take(redis.call('LPOP', P .. ':returning'))
  if taken then return taken end
end
while true do
  local first = redis.call('ZRANGE', P .. ':turns', 0, 0, 'WITHSCORES')
  local principal, turn = first[1], tonumber(first[2])
  if not principal then return { '', 'none', 0 } end
  local queue = P .. ':q:' .. principal
  local taken = take(redis.call('LPOP', queue))
  if taken then
    redis.call('SET', P .. ':turn', turn)
    redis.call('ZREMRANGEBYSCORE', P .. ':served', '-inf', turn) -- says no more than the present turn does
    local weight = redis.call('HGET', P .. ':weights', principal) or 1
    redis.call('ZADD', P .. ':turns', turn + 1 / weight, principal)
  end
  if redis.call('LLEN', queue) == 0 then
    redis.call('ZADD', P .. ':served', redis.call('ZSCORE', P .. ':turns', principal), principal)
    redis.call('ZREM', P .. ':turns', principal)
    redis.call('HDEL', P .. ':weights', principal)
  end
  if taken then return taken end
end
