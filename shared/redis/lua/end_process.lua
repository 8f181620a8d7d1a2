-- A process is over. ARGV: worker, epoch, call id, status, exit code, signal, duration ms, bytes of output,
-- bytes of it that stand in its log
if not is_owner(ARGV[1], ARGV[2]) then return false end
end_process(unpack(ARGV, 3))
-- While its call runs, the call's end follows at once and is announced itself.
if redis.call('HGET', call_key(ARGV[3]), 'state') ~= 'running' then announce(ARGV[3]) end
return 1
