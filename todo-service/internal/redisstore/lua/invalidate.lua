-- Invalidates the list: no list read before now is served or stored after it.
--
-- KEYS  1 list  2 its metadata  3 generation  4 the confirmed events, a set
-- ARGV  1 a new random generation
--       then the ids of the committed events that this invalidation confirms
-- Returns 1.
local list, metadata, generation, confirmed = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local limit = 10000 -- ids in the set, some 1 MB: an id stays behind if its event was healed before it was confirmed
local ttl = 300 -- seconds, after the last id
local batch = 1000 -- ids in one command: Lua passes no more than 8000 values

-- DEL comes first: a Redis that is out of memory refuses a script that begins with SET,
-- and would keep serving the old list.
redis.call('DEL', list, metadata)
redis.call('SET', generation, ARGV[1])
if #ARGV == 1 then
  return 1
end

-- The ids and the generation are stored in one step. In whatever state this Redis comes
-- back, an event is confirmed in that state only if it is invalidated in it.
if redis.call('TYPE', confirmed).ok ~= 'set' or redis.call('SCARD', confirmed) >= limit then
  redis.call('DEL', confirmed)
end
for first = 2, #ARGV, batch do
  redis.call('SADD', confirmed, unpack(ARGV, first, math.min(first + batch - 1, #ARGV)))
end
redis.call('EXPIRE', confirmed, ttl)
return 1
