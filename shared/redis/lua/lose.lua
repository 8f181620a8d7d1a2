-- What the session held is lost: a new epoch, running calls end as outcome_unknown, processes as lost. Queued calls end as
-- session_reset (they never started); they stay where nothing is lost: nothing had been changed yet, or nothing that could
-- change something was running and the checkpoint covers all that did. create_session and close_session can be done again,
-- so they wait again. ARGV: the epoch that lost it, new owner, state, the notice's beginning, outcome of running calls,
-- outcome of queued calls. Returns the new epoch, or 0 when the session is no longer in the
-- given epoch, and how many calls ended as outcome_unknown and as session_reset.
local epoch, owner, state, notice, unknown, reset = unpack(ARGV)
local s = redis.call('HMGET', S, 'epoch', 'state', 'used', 'owner')
if s[1] == tostring(epoch + 1) and s[2] == state and s[4] == owner then return { tonumber(s[1]), 0, 0 } end -- sent again
if s[1] ~= epoch or s[2] == 'closed' then return { 0, 0, 0 } end
local is_used = s[3] == '1'
local k = redis.call('HMGET', S, 'checkpoint', 'checkpoint_time', 'covered', 'mutations', 'moving')
local has_checkpoint, covered, mutations = k[1] and k[1] ~= '', tonumber(k[3] or 0), tonumber(k[4] or 0)
local is_covered = has_checkpoint and covered == mutations
local is_anything_lost = is_used and not (is_covered and k[5] ~= '1')
if redis.call('SCARD', S .. ':running') > 0 then is_anything_lost = true end
local function find_running(ids)
  for _, id in ipairs(ids) do
    local c = redis.call('HMGET', call_key(id), 'state', 'mutates', 'class', 'tool')
    if c[1] ~= 'queued' and c[2] == '1' and c[3] == 'lane' and c[4] ~= 'create_session' then is_anything_lost = true end
  end
end
find_running(redis.call('LRANGE', S .. ':lane', 0, -1))
find_running(redis.call('SMEMBERS', S .. ':detached'))
local unknown_calls, reset_calls = 0, 0
local REPEATABLE = { create_session = true, close_session = true }
local function lose_all(ids)
  for _, id in ipairs(ids) do
    local c = redis.call('HMGET', call_key(id), 'state', 'tool')
    if REPEATABLE[c[2]] then
      redis.call('HSET', call_key(id), 'state', 'queued')
      if redis.call('SREM', S .. ':detached', id) == 1 then redis.call('LPUSH', S .. ':lane', id) end
    elseif c[1] ~= 'queued' then
      end_call(id, 'outcome_unknown', unknown, true)
      unknown_calls = unknown_calls + 1
      announce(id)
    elseif is_anything_lost then
      end_call(id, 'session_reset', reset, false)
      reset_calls = reset_calls + 1
      announce(id)
    end
  end
end
lose_all(redis.call('LRANGE', S .. ':lane', 0, -1))
lose_all(redis.call('LRANGE', S .. ':ctl', 0, -1))
lose_all(redis.call('SMEMBERS', S .. ':detached'))
for _, process in ipairs(redis.call('SMEMBERS', S .. ':running')) do
  end_process('call_' .. string.sub(process, 6), 'lost', '', '', '', '')
end
lose_effects(covered + 1, mutations)
redis.call('HSET', S, 'owner', owner, 'state', state, 'covered', mutations, 'moving', 0)
redis.call('HDEL', S, 'container') -- whoever finds that container knows that it is nobody's
if is_used then
  local rest = ': its files and processes are gone.'
  local CHANGES_GONE = 'what was changed after it is gone'
  if has_checkpoint then
    -- A loss that nobody was told of yet is part of this one.
    local untold = redis.call('HGET', S, 'notice')
    local is_behind = is_anything_lost or (untold and string.find(untold, CHANGES_GONE, 1, true))
    rest = ': its files are as in checkpoint ' .. k[1] .. ' of ' .. k[2] .. ', ' ..
      (is_behind and CHANGES_GONE or 'which holds all that calls had changed') ..
      '; its processes and interpreter states are gone.'
  else
    redis.call('HSET', S, 'used', 0)
  end
  redis.call('HSET', S, 'notice', notice .. rest)
end
return { redis.call('HINCRBY', S, 'epoch', 1), unknown_calls, reset_calls }
