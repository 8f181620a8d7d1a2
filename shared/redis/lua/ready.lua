-- The session's container stands. ARGV: worker, epoch, then fields and values
if not is_owner(ARGV[1], ARGV[2]) then return 0 end
redis.call('HSET', S, 'state', 'ready', unpack(ARGV, 3))
return 1
