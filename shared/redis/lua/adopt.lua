-- A worker takes a session over from its predecessor, with its container and all that runs in it: nothing is lost.
-- ARGV: the predecessor, the epoch it had, the new owner. Returns the new epoch, or 0 when there is nothing to take over.
local before, epoch, worker = unpack(ARGV)
local s = redis.call('HMGET', S, 'owner', 'epoch', 'state')
if s[1] == worker and s[2] == tostring(epoch + 1) and s[3] == 'ready' then return tonumber(s[2]) end -- sent again
if s[1] ~= before or s[2] ~= epoch or (s[3] ~= 'ready' and s[3] ~= 'leaving') then return 0 end
redis.call('HSET', S, 'owner', worker, 'state', 'ready')
return redis.call('HINCRBY', S, 'epoch', 1)
