-- KEYS[1] offsets by partition; ARGV[1] partition; ARGV[2] next offset.
if redis.call('TYPE', KEYS[1]).ok ~= 'hash' then
  redis.call('DEL', KEYS[1]) -- somebody else overwrote it
end
local stored = tonumber(redis.call('HGET', KEYS[1], ARGV[1]))
if not stored or stored > 1e15 or stored < tonumber(ARGV[2]) then
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
end
return 1
