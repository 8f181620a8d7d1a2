-- Cancels a call: at once while it is queued (it never starts), by its owner while it runs. ARGV: call id, outcome
-- Returns the state that the call has now, or nothing when there is none.
local key = call_key(ARGV[1])
local state = redis.call('HGET', key, 'state')
if not state or FINAL[state] then return state end
if state == 'queued' then
  end_call(ARGV[1], 'cancelled', ARGV[2], false)
  announce(ARGV[1])
  return 'cancelled'
end
redis.call('SADD', S .. ':cancels', ARGV[1])
redis.call('PUBLISH', 'cg:wake:' .. (redis.call('HGET', S, 'owner') or ''), string.sub(S, 5, -2))
return state
