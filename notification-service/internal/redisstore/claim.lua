-- KEYS[1] mark; ARGV[1] the claim, which names its owner; ARGV[2] lease in ms.
-- The lease is the key's time to live, so a claim that ran out is not there.
local held = redis.call('GET', KEYS[1])
if held and held:sub(1, 11) ~= 'claimed by ' then
  return 'done'
end
if held and held ~= ARGV[1] then
  return 'busy'
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 'mine'
