-- A checkpoint for a session that is about to be opened, with what another one holds: that one may be deleted meanwhile.
-- ARGV: id, then the record's fields and values. Where the session stands already, another request of the same key was
-- faster, and nothing of it changes.
local UNCLAIMED_TTL_S = 3600
if redis.call('EXISTS', S) == 1 then return 0 end
redis.call('HSET', S .. ':k:' .. ARGV[1], unpack(ARGV, 2))
redis.call('ZADD', S .. ':ck', 0, ARGV[1])
redis.call('EXPIRE', S .. ':k:' .. ARGV[1], UNCLAIMED_TTL_S)
redis.call('EXPIRE', S .. ':ck', UNCLAIMED_TTL_S)
return 1
