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
local record = { 'tool', tool, 'class', class, 'mutates', mutates, 'args', args, 'args_hash', hash, 'key', key,
  'label', label, 'asked', 1, 'submitted_at', t, 'detach_at', t + wait }
local function add(fields)
  for _, field in ipairs(fields) do record[#record + 1] = field end
end
if trace ~= '' then add({ 'trace', trace }) end
redis.call('RPUSH', list, id)
redis.call('ZADD', S .. ':calls', t, id)
redis.call('ZREMRANGEBYRANK', S .. ':calls', 0, -1001)
-- At the head of its lane a call starts here for an owner that listens, who so need not ask first. A message that is lost
-- all the same does no harm: the owner finds the call listed as running, and starts what it never started.
local OFFERED_MAX = 16384
local owner, epoch = session[3], session[4]
local channel, sid = 'cg:offer:' .. owner, string.sub(S, 5, -2)
local is_first = depth == 0 and class == 'lane' and session[2] == 'ready'
local is_heard = silent ~= '*' and not string.find(silent, owner, 1, true)
if is_first and is_heard and #args <= OFFERED_MAX and redis.call('PUBSUB', 'NUMSUB', channel)[2] > 0 then
  local fields, mutation = begin_call(id, tool, mutates, class, t, epoch)
  add(fields)
  redis.call('HSET', call_key(id), unpack(record))
  redis.call('PUBLISH', channel, cjson.encode({ sid, epoch, id, tool, args, tonumber(wait), mutation, 0, trace }))
else
  add({ 'state', 'queued' })
  redis.call('HSET', call_key(id), unpack(record))
  redis.call('PUBLISH', 'cg:wake:' .. owner, sid)
end
return { 'queued', id, owner, epoch, redis.call('HINCRBY', S, 'ring', 1) }
