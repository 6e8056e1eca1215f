-- Replaces a partition's in-flight marker if it is the expected one.
-- KEYS[1] hash of markers by partition; ARGV[1] partition; ARGV[2] expected marker, '' for none;
-- ARGV[3] new marker, '' for none. Returns 1 if it was replaced, otherwise 0.
local kind = redis.call('TYPE', KEYS[1]).ok
if kind ~= 'hash' and kind ~= 'none' then
  redis.call('DEL', KEYS[1]) -- another program overwrote it
end
if (redis.call('HGET', KEYS[1], ARGV[1]) or '') ~= ARGV[2] then
  return 0
end
if ARGV[3] == '' then
  redis.call('HDEL', KEYS[1], ARGV[1])
else
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
end
return 1
