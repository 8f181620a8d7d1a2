-- Cancels a call: at once while it is queued (it never starts), by its owner while it runs. ARGV: call id, outcome
-- Returns the state that the call has now, or nothing when there is none.
return cancel(ARGV[1], ARGV[2])
