-- Records a call and says whom to ring. ARGV: call id, principal, tool, class, mutates, arguments, arguments' hash,
-- idempotency key, ms until its waiter gives up, the most calls a session may hold, what lists show of it, the
-- workers that must not be told to start it at once, "*" for all, where its trace comes from
-- Returns {kind, ...}: gone | conflict | full, depth | attached, id, ask | queued, id, owner, epoch, ring
-- `ask` counts the requests that asked for the call, from 1; `leave` tells of one that goes away.
local id, principal, tool, class, mutates, args, hash, key, wait, limit, label, silent, trace = unpack(ARGV)
local session = redis.call('HMGET', S, 'principal', 'state', 'owner', 'epoch', 'idle_ms')
if session[1] ~= principal or session[2] == 'closing' or session[2] == 'closed' then return { 'gone' } end
local t = now()
redis.call('HSET', S, 'last_used_at', t, 'expires_at', t + session[5])
if redis.call('EXISTS', call_key(id)) == 1 then
  return { 'queued', id, session[3], session[4], redis.call('HINCRBY', S, 'ring', 1) }
end
if key ~= '' then
  local first = redis.call('HGET', S .. ':keys', key)
  if first then
    if redis.call('HGET', call_key(first), 'args_hash') ~= hash then return { 'conflict' } end
    return { 'attached', first, redis.call('HINCRBY', call_key(first), 'asked', 1) }
  end
  if redis.call('HLEN', S .. ':keys') >= 10000 then return { 'full', 10000 } end
end
local list = class == 'control' and S .. ':ctl' or S .. ':lane'
local depth = redis.call('LLEN', list)
if depth >= tonumber(limit) then return { 'full', depth } end
if key ~= '' then redis.call('HSET', S .. ':keys', key, id) end
redis.call('HSET', call_key(id), 'tool', tool, 'class', class, 'mutates', mutates, 'args', args, 'args_hash', hash,
  'key', key, 'label', label, 'state', 'queued', 'asked', 1, 'submitted_at', t, 'detach_at', t + wait)
if trace ~= '' then redis.call('HSET', call_key(id), 'trace', trace) end
redis.call('RPUSH', list, id)
redis.call('ZADD', S .. ':calls', t, id)
redis.call('ZREMRANGEBYRANK', S .. ':calls', 0, -1001)
local is_first = depth == 0 and class == 'lane' and session[2] == 'ready'
local is_heard = silent ~= '*' and not string.find(silent, session[3], 1, true)
if not (is_first and is_heard and offer(id, t, session[3], session[4])) then
  redis.call('PUBLISH', 'cg:wake:' .. session[3], string.sub(S, 5, -2))
end
return { 'queued', id, session[3], session[4], redis.call('HINCRBY', S, 'ring', 1) }
