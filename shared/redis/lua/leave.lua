-- A request for a call goes away for good. The last one that asked for it takes the call along: it is cancelled.
-- ARGV: call id, the request's ask (see `submit`), outcome. Returns the call's state, or nothing when there is no such call.
local id, ask, outcome = unpack(ARGV)
local key = call_key(id)
if redis.call('EXISTS', key) == 0 then return false end
local left = redis.call('HSETNX', key, 'left:' .. ask, 1) == 1 and redis.call('HINCRBY', key, 'left', 1)
  or redis.call('HGET', key, 'left')
if tonumber(left) >= tonumber(redis.call('HGET', key, 'asked')) then return cancel(id, outcome) end
return redis.call('HGET', key, 'state')
