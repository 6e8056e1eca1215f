-- Invalidates a user's list: no list read before now is served or stored after it.
--
-- KEYS  1 list  2 its metadata  3 generation  4 the confirmed events of all users, a set
-- ARGV  1 the id of the committed event that this invalidation confirms, or nothing
-- Returns 1.
local confirmed, id = KEYS[4], ARGV[1]
local limit = 10000 -- ids in the set, some 1 MB: an id stays behind if its event was healed before it was confirmed
local ttl = 300 -- seconds, after the last id

-- Without its generation Redis refuses the fill of an earlier reader. The next lookup
-- makes a new one.
redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])
if id == '' then
  return 1
end

-- The id is stored in the step that deletes the list. In whatever state this Redis comes
-- back, an event is confirmed in that state only if it is invalidated in it.
if redis.call('TYPE', confirmed).ok ~= 'set' or redis.call('SCARD', confirmed) >= limit then
  redis.call('DEL', confirmed)
end
redis.call('SADD', confirmed, id)
redis.call('EXPIRE', confirmed, ttl)
return 1
