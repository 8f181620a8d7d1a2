-- Marks a session as closing, so that no call comes in any more, when it was idle for too long and nothing waits or runs
-- in it. ARGV: worker, epoch. Returns 1 when it is closing.
if not is_owner(ARGV[1], ARGV[2]) then return false end
local s = redis.call('HMGET', S, 'expires_at', 'state')
if s[2] == 'closing' then return 1 end
if now() < tonumber(s[1]) then return 0 end
if redis.call('LLEN', S .. ':lane') + redis.call('LLEN', S .. ':ctl') + redis.call('SCARD', S .. ':detached') > 0 then
  return 0
end
redis.call('HSET', S, 'state', 'closing')
return 1
