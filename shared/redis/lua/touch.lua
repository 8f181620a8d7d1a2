-- Somebody uses the session: it does not expire for now. ARGV: principal
-- Returns 1, or 0 when there is no such session of this principal.
local s = redis.call('HMGET', S, 'principal', 'state', 'idle_ms')
if s[1] ~= ARGV[1] or s[2] == 'closed' then return 0 end
local t = now()
redis.call('HSET', S, 'last_used_at', t, 'expires_at', t + s[3])
return 1
