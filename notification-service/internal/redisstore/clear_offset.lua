-- Removes a partition's offset if it still is the given one.
-- KEYS[1] offsets by partition. ARGV[1] partition; ARGV[2] the offset. Returns 1.
if redis.call('TYPE', KEYS[1]).ok == 'hash' and redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then
  redis.call('HDEL', KEYS[1], ARGV[1])
end
return 1
