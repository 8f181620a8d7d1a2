-- Points the session to a checkpoint, and forgets automatic ones but the last three. ARGV: worker, epoch, id ('' when nothing
-- changed since the present one), number of the last mutating call that it covers, 1 if processes ran meanwhile, number of
-- the first call whose effects it undoes (0 for none), then the record's fields and values
-- Returns the ids that are gone. An id that stands already is one that is sent again.
local AUTOMATIC_KEPT = 3
local worker, epoch, id, covered, moving, undone = unpack(ARGV, 1, 6)
if not is_owner(worker, epoch) then return false end
redis.call('HSET', S, 'covered', covered, 'moving', moving)
if undone ~= '0' and redis.call('EXISTS', S .. ':k:' .. id) == 0 then lose_effects(tonumber(undone), covered - 1) end
local gone = {}
if id == '' then return gone end
redis.call('HSET', S .. ':k:' .. id, unpack(ARGV, 7))
if not redis.call('ZSCORE', S .. ':ck', id) then
  redis.call('ZADD', S .. ':ck', redis.call('HINCRBY', S, 'checkpoints', 1), id)
end
redis.call('PUBLISH', 'cg:audit:ended', string.sub(S, 5, -2)) -- a database that keeps checkpoints is told of it
redis.call('HSET', S, 'checkpoint', id, 'checkpoint_time', redis.call('HGET', S .. ':k:' .. id, 'time'))
local automatic = 0
for _, one in ipairs(redis.call('ZREVRANGE', S .. ':ck', 0, -1)) do
  local name = redis.call('HGET', S .. ':k:' .. one, 'name')
  if name == '' then automatic = automatic + 1 end
  if not name or (name == '' and automatic > AUTOMATIC_KEPT) then
    redis.call('DEL', S .. ':k:' .. one)
    redis.call('ZREM', S .. ':ck', one)
    gone[#gone + 1] = one
  end
end
return gone
