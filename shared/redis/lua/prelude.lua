-- Stands before every script of a session. KEYS[1] is the session's hash and the prefix of its other keys, which share
-- its hash slot. Every script is idempotent: ioredis sends a command again when the connection broke before its answer.
local S = KEYS[1]
local FINAL_TTL_S = 3600
-- A large outcome (a file, say) does not stay that long: Redis's memory is for what goes on.
local LARGE_OUTCOME, LARGE_TTL_S = 65536, 300

local clock
-- The same throughout a script.
local function now()
  if not clock then
    local t = redis.call('TIME')
    clock = t[1] * 1000 + math.floor(t[2] / 1000)
  end
  return clock
end

local function call_key(id) return S .. ':c:' .. id end
local function process_key(id) return S .. ':p:proc_' .. string.sub(id, 6) end

-- Fails closed: without this owner and this epoch nothing is written.
local function is_owner(worker, epoch)
  local o = redis.call('HMGET', S, 'owner', 'epoch')
  return o[1] == worker and o[2] == epoch
end

local FINAL = { done = true, failed = true, cancelled = true, outcome_unknown = true, session_reset = true }

-- A SessionEvent that holds the call's id only: whoever reads it reads the record again.
local function announce(id)
  redis.call('PUBLISH', S .. ':ev', string.char(10, #id) .. id)
end

-- For the audit: a call ended ("" for the session itself), on whose worker, and whose it was. Whoever keeps the audit hears of it,
-- and finds what it has missed by walking through the keys; without anybody who does, it goes by itself.
local AUDIT_MAX, AUDIT_TTL_S = 10000, 86400
local function note_for_audit(id)
  local key = S .. ':audit'
  local s = redis.call('HMGET', S, 'owner', 'principal')
  local length = redis.call('RPUSH', key, id .. ' ' .. (s[1] or '') .. ' ' .. (s[2] or ''))
  if length == 1 then redis.call('EXPIRE', key, AUDIT_TTL_S) end
  if length > AUDIT_MAX then redis.call('LTRIM', key, -AUDIT_MAX, -1) end
  redis.call('PUBLISH', 'cg:audit:ended', string.sub(S, 5, -2))
end

-- A call in a final state: out of the lane, its key freed if it never started, its record kept for a while, without the
-- arguments. A call with a key, and the session's create_session, stay as long as the session.
local function end_call(id, state, outcome, started)
  local key = call_key(id)
  local c = redis.call('HMGET', key, 'key', 'tool', 'class', 'state')
  local has_key = c[1] and c[1] ~= ''
  redis.call('HSET', key, 'state', state, 'outcome', outcome, 'ended_at', now())
  redis.call('HDEL', key, 'args')
  if has_key and not started then redis.call('HDEL', S .. ':keys', c[1]) end
  redis.call('LREM', S .. ':lane', 1, id)
  -- A close that `lose` let wait again may stand in both.
  if c[3] ~= 'lane' then redis.call('LREM', S .. ':ctl', 1, id) end
  if c[4] == 'detached' then redis.call('SREM', S .. ':detached', id) end
  redis.call('SREM', S .. ':cancels', id)
  note_for_audit(id)
  local is_kept = started and (has_key or c[2] == 'create_session')
  if not is_kept then redis.call('EXPIRE', key, #outcome > LARGE_OUTCOME and LARGE_TTL_S or FINAL_TTL_S) end
end

local function end_process(id, status, exit_code, signal, duration, bytes, log_bytes)
  local key = process_key(id)
  local p = redis.call('HMGET', key, 'status', 'bytes')
  if p[1] ~= 'running' then return end
  local fields = { 'status', status, 'exit_code', exit_code, 'signal', signal, 'duration_ms', duration,
    'log_bytes', log_bytes or '', 'ended_at', now() }
  if bytes ~= '' then fields[13], fields[14] = 'bytes', bytes end
  redis.call('HSET', key, unpack(fields))
  redis.call('SREM', S .. ':running', 'proc_' .. string.sub(id, 6))
  redis.call('EXPIRE', key, FINAL_TTL_S)
  if p[2] ~= '0' then redis.call('EXPIRE', key .. ':o', FINAL_TTL_S) end -- else there is none
end

-- The call's record says `has_process` besides.
local function begin_process(id, t, epoch)
  local name = 'proc_' .. string.sub(id, 6)
  redis.call('HSET', process_key(id), 'call_id', id, 'status', 'running', 'started_at', t, 'epoch', epoch, 'bytes', 0)
  redis.call('ZADD', S .. ':procs', t, name)
  redis.call('ZREMRANGEBYRANK', S .. ':procs', 0, -1001)
  redis.call('SADD', S .. ':running', name)
end

-- A call starts: what that changes outside of its record, what its record says from then on, and the number of its
-- mutation, 0 where it has none.
local function begin_call(id, tool, mutates, class, t, epoch)
  local fields, mutation = { 'state', 'running', 'started_at', t, 'epoch', epoch }, 0
  if mutates == '1' and class == 'lane' and tool ~= 'create_session' then
    redis.call('HSET', S, 'used', 1)
    mutation = redis.call('HINCRBY', S, 'mutations', 1)
    fields[7], fields[8] = 'mutation', mutation
  end
  if tool == 'run_command' then -- the others say when theirs starts
    begin_process(id, t, epoch)
    fields[#fields + 1], fields[#fields + 2] = 'has_process', 1
  end
  return fields, mutation
end

local function start_call(id, key, t, epoch, out)
  local c = redis.call('HMGET', key, 'tool', 'args', 'detach_at', 'mutates', 'class', 'submitted_at', 'trace')
  local fields, mutation = begin_call(id, c[1], c[4], c[5], t, epoch)
  redis.call('HSET', key, unpack(fields))
  out[#out + 1] = { id, c[1], c[2], tonumber(c[3]) - t, mutation, t - tonumber(c[6] or t), c[7] or '' }
end

-- The effects of the session's mutating calls from number `from` to `to` are gone: their results may be replayed no more
-- without saying so.
local function lose_effects(from, to)
  if to < from then return end
  local lost = (redis.call('HGET', S, 'lost') or '') .. from .. '-' .. to .. ' '
  if #lost > 1000 then lost = string.match(lost, '^%d+') .. '-' .. to .. ' ' end
  redis.call('HSET', S, 'lost', lost)
end

-- Starts what the lane's order allows: reads while no mutating call stands before them, a mutating call at the head only.
-- Controls start at once. Calls that run already are listed by id: their owner knows what it has started, and starts
-- what it does not know (its answer was lost on the way). Where the owner is about to leave, only controls start: what
-- waits in the lane is the next owner's.
local function start_ready(epoch)
  local t, out = now(), {}
  for _, id in ipairs(redis.call('LRANGE', S .. ':ctl', 0, -1)) do
    local key = call_key(id)
    if redis.call('HGET', key, 'state') == 'queued' then start_call(id, key, t, epoch, out) else out[#out + 1] = { id } end
  end
  for i, id in ipairs(redis.call('LRANGE', S .. ':lane', 0, -1)) do
    local key = call_key(id)
    local c = redis.call('HMGET', key, 'state', 'mutates')
    if c[1] == 'queued' then
      if (c[2] == '1' and i > 1) or redis.call('HGET', S, 'state') == 'leaving' then break end
      start_call(id, key, t, epoch, out)
    else
      out[#out + 1] = { id }
    end
    if c[2] == '1' then break end
  end
  return { out, redis.call('SMEMBERS', S .. ':cancels') }
end

-- Returns the state that the call has now, or nothing when there is none.
local function cancel(id, outcome)
  local state = redis.call('HGET', call_key(id), 'state')
  if not state or FINAL[state] then return state end
  if state == 'queued' then
    end_call(id, 'cancelled', outcome, false)
    announce(id)
    return 'cancelled'
  end
  redis.call('SADD', S .. ':cancels', id)
  redis.call('PUBLISH', 'cg:wake:' .. (redis.call('HGET', S, 'owner') or ''), string.sub(S, 5, -2))
  return state
end
