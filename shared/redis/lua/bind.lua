-- Binds a session to whoever owns the hash KEYS[1] (a principal, an MCP session): compare and set.
-- ARGV: the session that may be replaced ('' for none), the new one. Returns the session that is bound now.
local held = redis.call('HGET', KEYS[1], 'session')
if held and held ~= ARGV[1] then return held end
redis.call('HSET', KEYS[1], 'session', ARGV[2])
return ARGV[2]
