-- Stores a list, unless a write has replaced the generation that was read before the
-- query of the list: then the list may be older than that write.
--
-- KEYS  1 list  2 its metadata  3 generation
-- ARGV  1 the generation that was read  2 list  3 metadata  4 TTL, seconds
-- Returns 1 when stored, 0 when refused.
if redis.call('GET', KEYS[3]) ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[4])
redis.call('SET', KEYS[2], ARGV[3], 'EX', ARGV[4])
return 1
