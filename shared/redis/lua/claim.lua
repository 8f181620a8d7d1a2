-- A worker takes a session that nobody owns. ARGV: worker
-- Returns the new epoch, or 0 when there is nothing to claim.
local s = redis.call('HMGET', S, 'state', 'owner', 'epoch')
if s[2] == ARGV[1] and s[1] == 'starting' then return tonumber(s[3]) end
if s[1] ~= 'queued' then return 0 end
redis.call('HSET', S, 'state', 'starting', 'owner', ARGV[1])
redis.call('PERSIST', S)
local checkpoint = redis.call('HGET', S, 'checkpoint') or ''
for _, suffix in ipairs({ ':lane', ':calls', ':ck', ':k:' .. checkpoint, ':c:' .. redis.call('HGET', S, 'create_call') }) do
  redis.call('PERSIST', S .. suffix)
end
return redis.call('HINCRBY', S, 'epoch', 1)
