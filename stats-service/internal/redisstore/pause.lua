-- Holds the live count for a moment, if the caller still has the lock.
-- KEYS: lock, hold, offsets, origins. ARGV: the lock's token, milliseconds.
-- Returns where the count stands, and the origins; nothing without the lock.
if redis.call('TYPE', KEYS[1]).ok ~= 'string' or redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return false
end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
-- Of another type it was overwritten: the live count stands nowhere.
local function fields(key)
  return redis.call('TYPE', key).ok == 'hash' and redis.call('HGETALL', key) or {}
end
return {fields(KEYS[3]), fields(KEYS[4])}
