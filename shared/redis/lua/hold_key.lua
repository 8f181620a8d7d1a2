-- Makes a key stand for a value: compare and set. ARGV: the value that may be replaced ('' for none), the new one, seconds
-- until it expires. Returns the value that stands now.
local held = redis.call('GET', KEYS[1])
if held and held ~= ARGV[1] then return held end
redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
return ARGV[2]
