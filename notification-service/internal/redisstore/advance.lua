-- KEYS[1] offsets by partition; ARGV[1] partition; ARGV[2] next offset.
local stored = tonumber(redis.call('HGET', KEYS[1], ARGV[1]))
if not stored or stored < tonumber(ARGV[2]) then
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
end
return 1
