-- A process is over. ARGV: worker, epoch, call id, status, exit code, signal, duration ms, bytes of output
if not is_owner(ARGV[1], ARGV[2]) then return false end
end_process(unpack(ARGV, 3))
announce(ARGV[3])
return 1
