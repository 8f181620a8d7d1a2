-- A call is about to start its process. ARGV: worker, epoch, call id
if not is_owner(ARGV[1], ARGV[2]) then return false end
if redis.call('EXISTS', process_key(ARGV[3])) == 0 then
  redis.call('HSET', call_key(ARGV[3]), 'has_process', 1)
  begin_process(ARGV[3], now(), ARGV[2])
end
return 1
