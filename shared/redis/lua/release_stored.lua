-- Checkpoints whose records stand, or never will, need no reservation any more. KEYS[1] as of reserve_stored, ARGV: their ids
local P = KEYS[1]
if redis.call('HDEL', P .. ':stored', unpack(ARGV)) == 0 then return 0 end
redis.call('INCR', P .. ':stored:ended')
redis.call('EXPIRE', P .. ':stored:ended', 2 * 86400)
return 1
