-- What the session held is lost: a new epoch, running calls end as outcome_unknown, queued ones as session_reset (they
-- never started), processes as lost; a notice says so once. ARGV: the epoch that lost it, new owner, state, notice,
-- outcome of running calls, outcome of queued calls
-- Returns the new epoch, or 0 when the session is no longer in the given epoch.
local epoch, owner, state, notice, unknown, reset = unpack(ARGV)
local s = redis.call('HMGET', S, 'epoch', 'state')
if s[1] ~= epoch or s[2] == 'closed' then return 0 end
local function lose_all(ids)
  for _, id in ipairs(ids) do
    local started = redis.call('HGET', call_key(id), 'state') ~= 'queued'
    if started then end_call(id, 'outcome_unknown', unknown, true) else end_call(id, 'session_reset', reset, false) end
    announce(id)
  end
end
lose_all(redis.call('LRANGE', S .. ':lane', 0, -1))
lose_all(redis.call('SMEMBERS', S .. ':detached'))
for _, process in ipairs(redis.call('ZRANGE', S .. ':procs', 0, -1)) do
  end_process('call_' .. string.sub(process, 6), 'lost', '', '', '', '')
end
redis.call('HSET', S, 'owner', owner, 'state', state, 'notice', notice)
return redis.call('HINCRBY', S, 'epoch', 1)
