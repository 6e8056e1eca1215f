-- Stores the incarnation that a partition's offset belongs to.
-- KEYS[1] incarnations by partition.
-- ARGV[1] partition; ARGV[2] the incarnation; empty removes the stored one.
-- Returns 1.
if redis.call('TYPE', KEYS[1]).ok ~= 'hash' then
  redis.call('DEL', KEYS[1]) -- another program overwrote it
end
if ARGV[2] == '' then
  redis.call('HDEL', KEYS[1], ARGV[1])
else
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
end
return 1
