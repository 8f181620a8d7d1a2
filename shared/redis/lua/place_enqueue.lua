-- Placement, all in one hash slot. KEYS[1]: its prefix. ARGV: session, principal, the most that may wait, ms after which
-- a session that a worker took and never claimed counts as waiting again, 1 for a session that had a worker before: it
-- comes before all new ones, whoever's it is and however long the line; the principal's weight: its turns against others' 1
-- A full line still takes one session of each principal that has none in it, up to twice the most: whoever fills the line
-- keeps nobody else out.
-- Returns the session's position from 1, 0 when a worker has taken it, -1 when too many wait. Safe to repeat.
local P = KEYS[1]
local sid, principal, limit, forget, returns, weight = unpack(ARGV)
local time = redis.call('TIME')
local t = time[1] * 1000 + math.floor(time[2] / 1000)
local rank = redis.call('ZRANK', P .. ':waiting', sid)
if rank then return rank + 1 end
local taken = redis.call('HGET', P .. ':taken', sid)
if taken and t - tonumber(taken) < tonumber(forget) then return 0 end
redis.call('HDEL', P .. ':taken', sid)
local waiting, most = redis.call('ZCARD', P .. ':waiting'), tonumber(limit)
if returns ~= '1' and (waiting >= 2 * most or (waiting >= most and redis.call('LLEN', P .. ':q:' .. principal) > 0)) then return -1 end
-- The fraction keeps the order of those that come within one millisecond.
redis.call('ZADD', P .. ':waiting', t + redis.call('INCR', P .. ':seq') % 1000 / 1000, sid)
if returns == '1' then
  redis.call('LREM', P .. ':returning', 0, sid) -- one whose wait was over stands there still
  redis.call('RPUSH', P .. ':returning', sid)
  return redis.call('ZRANK', P .. ':waiting', sid) + 1
end
redis.call('RPUSH', P .. ':q:' .. principal, sid)
if weight == '1' then redis.call('HDEL', P .. ':weights', principal) else redis.call('HSET', P .. ':weights', principal, weight) end
-- Whoever comes anew stands at the present turn, but does not come before its next one if it was served of late.
local turn = tonumber(redis.call('GET', P .. ':turn') or 0)
local own = tonumber(redis.call('ZSCORE', P .. ':served', principal) or turn)
redis.call('ZADD', P .. ':turns', 'NX', math.max(turn, own), principal)
return redis.call('ZRANK', P .. ':waiting', sid) + 1
