-- A call's end. ARGV: worker, epoch, call id, state, outcome, event, 1 when it surely changed nothing: that frees its key;
-- then, when its process ended with it, what `end_process` takes: status, exit code, signal, ms, bytes, bytes in its log
-- The session's pending notice goes into the first outcome that is told after it arose. Returns as `next` does, and the
-- state that counts: a call that was final already keeps its first end.
local worker, epoch, id, state, outcome, event, changed_nothing = unpack(ARGV)
if not is_owner(worker, epoch) then return false end
if ARGV[8] then end_process(id, unpack(ARGV, 8, 13)) end
local key = call_key(id)
local before = redis.call('HGET', key, 'state')
if not before then return { {}, {}, 'gone' } end
if not FINAL[before] then
  end_call(id, state, outcome, changed_nothing ~= '1')
  local notice = redis.call('HGET', S, 'notice')
  if notice then
    redis.call('HSET', key, 'notice', notice)
    redis.call('HDEL', S, 'notice')
    announce(id)
  else
    redis.call('PUBLISH', S .. ':ev', event)
  end
end
local ready = start_ready(epoch)
return { ready[1], ready[2], FINAL[before] and before or state }
