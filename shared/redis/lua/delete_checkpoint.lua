-- Deletes a checkpoint for those who ask; the one that its session would come back from stays until there is a newer one.
-- ARGV: id, principal. Returns 1, or 0 when there is no such checkpoint of this principal.
local key = S .. ':k:' .. ARGV[1]
local k = redis.call('HMGET', key, 'principal', 'deleted')
if k[1] ~= ARGV[2] or k[2] == '1' then return 0 end
local s = redis.call('HMGET', S, 'checkpoint', 'state')
if s[1] == ARGV[1] and s[2] and s[2] ~= 'closed' then
  redis.call('HSET', key, 'deleted', 1, 'name', '')
else
  redis.call('DEL', key)
  redis.call('ZREM', S .. ':ck', ARGV[1])
end
return 1
