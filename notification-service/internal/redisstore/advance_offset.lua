-- KEYS[1] offsets by partition; KEYS[2] origins of their logs; ARGV[1] partition;
-- ARGV[2] next offset; ARGV[3] the origin of the log that it belongs to.
for i = 1, 2 do
  if redis.call('TYPE', KEYS[i]).ok ~= 'hash' then
    redis.call('DEL', KEYS[i]) -- somebody else overwrote it
  end
end

-- A member that has not noticed yet that the topic was created again says nothing
-- about the new one.
local bound = redis.call('HGET', KEYS[2], ARGV[1])
if bound and bound ~= ARGV[3] and bound:sub(1, 3) == 'id ' and ARGV[3]:sub(1, 3) == 'id ' then
  return 0
end

-- What is no number of at most 15 digits was written by somebody else.
local text = redis.call('HGET', KEYS[1], ARGV[1])
local stored = text and #text <= 15 and text:match('^%d+$') and tonumber(text)
if not stored or stored < tonumber(ARGV[2]) then
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
  redis.call('HSET', KEYS[2], ARGV[1], ARGV[3])
end
return 1
