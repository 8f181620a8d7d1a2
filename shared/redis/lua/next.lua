-- What the owner may start now, and what it must cancel. ARGV: worker, epoch
-- Returns {{id, tool, arguments, ms until it detaches, mutation, ms that it waited, trace} or {id of one that runs} ..., ids to cancel}, or nothing when fenced.
if not is_owner(ARGV[1], ARGV[2]) then return false end
return start_ready(ARGV[2])
