-- Makes a session that waits for a worker, with its create_session call at the head of its lane.
-- ARGV: call id, arguments, wait ms, key, arguments' hash, trace, then the session's fields and values
local UNCLAIMED_TTL_S = 3600
if redis.call('EXISTS', S) == 1 then return 0 end
local t, id = now(), ARGV[1]
redis.call('HSET', S, 'state', 'queued', 'owner', '', 'epoch', 0, 'ring', 1, 'created_at', t, 'last_used_at', t,
  'create_call', id, unpack(ARGV, 7))
redis.call('HSET', S, 'expires_at', t + redis.call('HGET', S, 'idle_ms'))
redis.call('HSET', call_key(id), 'tool', 'create_session', 'class', 'lane', 'mutates', 1, 'args', ARGV[2],
  'state', 'queued', 'asked', 1, 'submitted_at', t, 'detach_at', t + ARGV[3], 'key', ARGV[4], 'args_hash', ARGV[5])
if ARGV[6] ~= '' then redis.call('HSET', call_key(id), 'trace', ARGV[6]) end
redis.call('RPUSH', S .. ':lane', id)
redis.call('ZADD', S .. ':calls', t, id)
-- A session that nobody claims goes by itself, whatever happened to those who should have placed it.
for _, key in ipairs({ S, S .. ':lane', S .. ':calls', call_key(id) }) do redis.call('EXPIRE', key, UNCLAIMED_TTL_S) end
return 1
