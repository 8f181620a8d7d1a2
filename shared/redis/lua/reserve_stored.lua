-- Reserves room in the store for a checkpoint that is being written. KEYS[1]: the prefix of its principal's counts, which
-- share a hash slot. ARGV: checkpoint, session, epoch, its bytes so far, how many reservations had ended before the records
-- were read, and the bytes that the records tell
-- Returns {'ok'}; {'again'} when one ended since, which the records may tell by now; or {'full', the most that may be
-- stored, then the others' reservations: checkpoint, '<bytes> <session> <epoch>', …}
local KEPT_S = 86400
local P = KEYS[1]
local id, session, epoch, bytes, ended, stored = unpack(ARGV)
local most = redis.call('GET', P .. ':stored:most')
if not most then return { 'ok' } end
if (redis.call('GET', P .. ':stored:ended') or '0') ~= ended then return { 'again' } end
local total, others = stored + bytes, {}
local held = redis.call('HGETALL', P .. ':stored')
for i = 1, #held, 2 do
  local its_bytes, its_session, its_epoch = string.match(held[i + 1], '^(%d+) (%S+) (%d+)$')
  if held[i] == id then
    -- its own, which grows
  elseif its_session == session and tonumber(its_epoch) <= tonumber(epoch) then
    redis.call('HDEL', P .. ':stored', held[i]) -- a session writes one at a time: that one was given up
  else
    total = total + its_bytes
    others[#others + 1] = held[i]
    others[#others + 1] = held[i + 1]
  end
end
if total > tonumber(most) then return { 'full', most, unpack(others) } end
redis.call('HSET', P .. ':stored', id, bytes .. ' ' .. session .. ' ' .. epoch)
redis.call('EXPIRE', P .. ':stored', KEPT_S)
return { 'ok' }
