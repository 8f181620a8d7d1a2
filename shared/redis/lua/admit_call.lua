-- Whether a principal may have one more call, by all of its quotas. KEYS[1]: the prefix of its counts, which share a hash
-- slot. ARGV: the call's id ('' for one that holds no place), how many may be open at a time, calls a minute, cpu ms an
-- hour ('' for no limit), then ids of calls that have ended since
-- Returns {'ok'}, or {why, ms until it is worth another try}: open | rate | cpu
local P = KEYS[1]
local id, most, rate, cpu = unpack(ARGV, 1, 4)
local time = redis.call('TIME')
local t = time[1] * 1000 + math.floor(time[2] / 1000)
for i = 5, #ARGV do redis.call('ZREM', P .. ':calls', ARGV[i]) end
local is_held = id ~= '' and most ~= ''
if is_held then
  if redis.call('ZSCORE', P .. ':calls', id) then return { 'ok' } end -- sent again
  if redis.call('ZCARD', P .. ':calls') >= tonumber(most) then return { 'open', 1000 } end
end
if cpu ~= '' then
  local hour = math.floor(t / 3600000)
  local used = tonumber(redis.call('GET', P .. ':cpu:' .. hour) or 0)
  if used >= tonumber(cpu) then return { 'cpu', (hour + 1) * 3600000 - t } end
end
if rate ~= '' then
  -- A bucket of a minute's calls, kept as the time at which it would be full again.
  local interval = 60000 / rate
  local full_at = math.max(tonumber(redis.call('GET', P .. ':rate') or 0), t)
  local wait = full_at + interval - t - 60000
  if wait > 0.001 then return { 'rate', math.ceil(wait) } end
  redis.call('SET', P .. ':rate', string.format('%.3f', full_at + interval), 'PX', 61000)
end
if is_held then
  redis.call('ZADD', P .. ':calls', t, id)
  redis.call('EXPIRE', P .. ':calls', 86400)
end
return { 'ok' }
