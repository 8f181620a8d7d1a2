-- The owner is about to leave: calls are taken, and wait for the next owner. ARGV: worker, epoch
if not is_owner(ARGV[1], ARGV[2]) then return false end
if redis.call('HGET', S, 'state') == 'ready' then redis.call('HSET', S, 'state', 'leaving') end
return 1
