-- Moves a partition's stored offset forward.
-- KEYS[1] offsets by partition; KEYS[2] incarnations by partition.
-- ARGV[1] partition; ARGV[2] next offset; ARGV[3] the incarnation it belongs to.
-- Returns 0 when the partition is bound to another topic id, otherwise 1.
for i = 1, 2 do
  if redis.call('TYPE', KEYS[i]).ok ~= 'hash' then
    redis.call('DEL', KEYS[i]) -- another program overwrote it
  end
end

-- A member may not have noticed yet that the topic was created again: its offset
-- belongs to the old topic.
local bound = redis.call('HGET', KEYS[2], ARGV[1])
if bound and bound ~= ARGV[3] and bound:sub(1, 3) == 'id ' and ARGV[3]:sub(1, 3) == 'id ' then
  return 0
end

-- Another program wrote what is not a number of at most 15 digits.
local text = redis.call('HGET', KEYS[1], ARGV[1])
local stored = text and #text <= 15 and text:match('^%d+$') and tonumber(text)
if not stored or stored < tonumber(ARGV[2]) then
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
  redis.call('HSET', KEYS[2], ARGV[1], ARGV[3])
end
return 1
