-- KEYS[1] mark; ARGV[1] our claim; ARGV[2] how long the mark is kept, in ms.
-- A claim taken over, or done by whoever took it over, is left as it is.
local held = redis.call('GET', KEYS[1])
if not held or held == ARGV[1] then
  redis.call('SET', KEYS[1], 'done', 'PX', ARGV[2])
end
return 1
