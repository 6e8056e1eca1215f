-- Stores the incarnation that a partition's offset belongs to, and removes an offset that
-- does not.
-- KEYS[1] offsets by partition; KEYS[2] incarnations by partition.
-- ARGV[1] partition; ARGV[2] the incarnation; empty removes the stored one; ARGV[3] the
-- offset to remove if it still is stored, or 0.
-- Returns 1.
if redis.call('TYPE', KEYS[1]).ok == 'hash' and redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[3] then
  redis.call('HDEL', KEYS[1], ARGV[1])
end
if redis.call('TYPE', KEYS[2]).ok ~= 'hash' then
  redis.call('DEL', KEYS[2]) -- another program overwrote it
end
if ARGV[2] == '' then
  redis.call('HDEL', KEYS[2], ARGV[1])
else
  redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
end
return 1
