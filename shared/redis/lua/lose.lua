-- What the session held is lost: a new epoch, running calls end as outcome_unknown, processes as lost. Queued calls end as
-- session_reset (they never started); where nothing had been changed yet nothing is lost, and they stay. create_session and
-- close_session can be done again, so they wait again. ARGV: the epoch that lost it, new owner, state, notice, outcome of
-- running calls, outcome of queued calls. Returns the new epoch, or 0 when the session is no longer in the given epoch.
local epoch, owner, state, notice, unknown, reset = unpack(ARGV)
local s = redis.call('HMGET', S, 'epoch', 'state', 'used', 'owner')
if s[1] == tostring(epoch + 1) and s[2] == state and s[4] == owner then return tonumber(s[1]) end -- sent again
if s[1] ~= epoch or s[2] == 'closed' then return 0 end
local is_used = s[3] == '1'
local REPEATABLE = { create_session = true, close_session = true }
local function lose_all(ids)
  for _, id in ipairs(ids) do
    local c = redis.call('HMGET', call_key(id), 'state', 'tool')
    if REPEATABLE[c[2]] then
      redis.call('HSET', call_key(id), 'state', 'queued')
      if redis.call('SREM', S .. ':detached', id) == 1 then redis.call('LPUSH', S .. ':lane', id) end
    elseif c[1] ~= 'queued' then
      end_call(id, 'outcome_unknown', unknown, true)
      announce(id)
    elseif is_used then
      end_call(id, 'session_reset', reset, false)
      announce(id)
    end
  end
end
lose_all(redis.call('LRANGE', S .. ':lane', 0, -1))
lose_all(redis.call('LRANGE', S .. ':ctl', 0, -1))
lose_all(redis.call('SMEMBERS', S .. ':detached'))
for _, process in ipairs(redis.call('SMEMBERS', S .. ':running')) do
  end_process('call_' .. string.sub(process, 6), 'lost', '', '', '', '')
end
redis.call('HSET', S, 'owner', owner, 'state', state, 'used', 0)
redis.call('HDEL', S, 'container') -- whoever finds that container knows that it is nobody's
if is_used then redis.call('HSET', S, 'notice', notice) end
return redis.call('HINCRBY', S, 'epoch', 1)
