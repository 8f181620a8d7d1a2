-- A call that ran past its wait leaves the lane and goes on. ARGV: worker, epoch, call id. Returns as `next` does.
if not is_owner(ARGV[1], ARGV[2]) then return false end
local key = call_key(ARGV[3])
if redis.call('HGET', key, 'state') == 'running' then
  redis.call('HSET', key, 'state', 'detached')
  redis.call('LREM', S .. ':lane', 1, ARGV[3])
  redis.call('SADD', S .. ':detached', ARGV[3])
  announce(ARGV[3])
end
return start_ready(ARGV[2])
