-- A call's end. ARGV: worker, epoch, call id, state, outcome, event, 1 when it surely changed nothing: that frees its key;
-- then, when its process ended with it, what `end_process` takes: status, exit code, signal, ms, bytes, bytes in its log
-- The session's pending notice goes into the first outcome that is told after it arose. Returns as `next` does, and the
-- state that counts: a call that was final already keeps its first end.
local worker, epoch, id, state, outcome, event, changed_nothing = unpack(ARGV)
local s = redis.call('HMGET', S, 'owner', 'epoch', 'notice')
if s[1] ~= worker or s[2] ~= epoch then return false end
if ARGV[8] then end_process(id, unpack(ARGV, 8, 13)) end
local key = call_key(id)
local before = redis.call('HGET', key, 'state')
if not before then return { {}, {}, 'gone' } end
if not FINAL[before] then
  end_call(id, state, outcome, changed_nothing ~= '1')
  if s[3] then
    redis.call('HSET', key, 'notice', s[3])
    redis.call('HDEL', S, 'notice')
    announce(id)
  else
    redis.call('PUBLISH', S .. ':ev', event)
  end
end
local ready = start_ready(epoch)
return { ready[1], ready[2], FINAL[before] and before or state }
