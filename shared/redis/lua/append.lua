-- Adds one chunk of output. ARGV: worker, epoch, call id, sequence, offset, stream, bytes, event, bytes kept at most
-- Returns 1, 0 when this chunk stands there already, or nothing when fenced.
local worker, epoch, id, sequence, offset, stream, data, event, keep = unpack(ARGV)
if not is_owner(worker, epoch) then return false end
local process = process_key(id)
local out = process .. ':o'
local added = redis.pcall('XADD', out, epoch .. '-' .. sequence, 's', stream, 'o', offset, 'd', data)
if type(added) == 'table' and added.err then
  if string.find(added.err, 'equal or smaller', 1, true) then return 0 end
  return redis.error_reply(added.err)
end
local kept = redis.call('HINCRBY', process, 'kept', #data)
redis.call('HSET', process, 'bytes', offset + #data)
while kept > tonumber(keep) do
  local first = redis.call('XRANGE', out, '-', '+', 'COUNT', 1)[1]
  local fields = first[2]
  redis.call('XDEL', out, first[1])
  redis.call('HSET', process, 'evicted_before', fields[4] + #fields[6])
  kept = redis.call('HINCRBY', process, 'kept', -#fields[6])
end
redis.call('PUBLISH', S .. ':ev', event)
return 1
