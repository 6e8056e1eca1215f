-- Makes readers forget: no list read before now is served or stored after it.
--
-- KEYS  1 list  2 what is beside it  3 generation  4 the confirmed events, a set
-- ARGV  1 a new random generation
--       then the ids of the committed events for which this is the invalidation
local list, beside, generation, confirmed = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local most = 10000   -- events: some 1 MB; an event that was healed before it was confirmed stays behind
local lifetime = 300 -- seconds, after the last event
local together = 1000 -- ids in one command: Lua passes no more than 8000 values

-- The removal comes first: a Redis that is out of memory would refuse a script
-- that begins with SET, and keep serving the old list.
redis.call('DEL', list, beside)
redis.call('SET', generation, ARGV[1])
if #ARGV == 1 then
  return 1
end

-- The ids are stored with the new generation, in one step. So whatever state of
-- this Redis comes back, an event is confirmed in it only if it is invalidated in it.
if redis.call('TYPE', confirmed).ok ~= 'set' or redis.call('SCARD', confirmed) >= most then
  redis.call('DEL', confirmed)
end
for first = 2, #ARGV, together do
  redis.call('SADD', confirmed, unpack(ARGV, first, math.min(first + together - 1, #ARGV)))
end
redis.call('EXPIRE', confirmed, lifetime)
return 1
