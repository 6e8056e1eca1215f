-- Returns the live positions, and pauses the live counters for a moment if asked to, if
-- the caller still holds the lock.
-- KEYS: lock, pause, offsets, incarnations. ARGV: the lock's token, milliseconds of the
--   pause or 0.
-- Returns {offsets, incarnations} of the live counters; false without the lock.
if redis.call('TYPE', KEYS[1]).ok ~= 'string' or redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return false
end
if ARGV[2] ~= '0' then
  redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
end
-- Another program overwrote a key of another type: it has no fields of ours.
local function fields(key)
  return redis.call('TYPE', key).ok == 'hash' and redis.call('HGETALL', key) or {}
end
return {fields(KEYS[3]), fields(KEYS[4])}
