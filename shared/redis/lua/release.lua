-- The session is over: every open call ends, and all its keys go after a minute, so that waiters can read the ends.
-- ARGV: the epoch it is over in, outcome of open calls, the call that asked for it ('' for none) and its outcome
-- Returns 1, or 0 when the session is in another epoch or closed already.
local epoch, outcome, asking, answer = unpack(ARGV)
local CHECKPOINTS_TTL_S = 86400
local s = redis.call('HMGET', S, 'epoch', 'state', 'principal')
if s[1] ~= epoch or s[2] == 'closed' then return 0 end
local function close_all(ids)
  for _, id in ipairs(ids) do
    if id == asking then
      end_call(id, 'done', answer, true)
    else
      end_call(id, 'failed', outcome, redis.call('HGET', call_key(id), 'state') ~= 'queued')
    end
    announce(id)
  end
end
close_all(redis.call('LRANGE', S .. ':lane', 0, -1))
close_all(redis.call('LRANGE', S .. ':ctl', 0, -1))
close_all(redis.call('SMEMBERS', S .. ':detached'))
note_for_audit('')
redis.call('HSET', S, 'state', 'closed', 'owner', '')
local function expire_calls(ids)
  for _, id in ipairs(ids) do redis.call('EXPIRE', call_key(id), 60) end
end
expire_calls(redis.call('ZRANGE', S .. ':calls', 0, -1)) -- the newest 1,000
expire_calls(redis.call('HVALS', S .. ':keys'))
expire_calls({ redis.call('HGET', S, 'create_call') })
local function expire_processes(ids)
  for _, id in ipairs(ids) do
    redis.call('EXPIRE', S .. ':p:' .. id, 60)
    redis.call('EXPIRE', S .. ':p:' .. id .. ':o', 60)
  end
end
expire_processes(redis.call('ZRANGE', S .. ':procs', 0, -1))
expire_processes(redis.call('SMEMBERS', S .. ':running'))
for _, id in ipairs(redis.call('ZRANGE', S .. ':ck', 0, -1)) do
  local key = S .. ':k:' .. id
  if redis.call('HGET', key, 'name') == '' then redis.call('EXPIRE', key, CHECKPOINTS_TTL_S) end
end
for _, suffix in ipairs({ '', ':ck', ':lane', ':ctl', ':calls', ':procs', ':running', ':keys', ':detached', ':cancels' }) do
  redis.call('EXPIRE', S .. suffix, 60)
end
return 1
