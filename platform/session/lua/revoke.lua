-- Deletes sessions of a user: the one with an id, or all but that one.
--
-- KEYS  1 the user's sessions, a sorted set of token hashes by creation
-- ARGV  1 prefix of sessions' keys  2 'only' or 'except'  3 id
-- Returns how many were deleted.
local deleted = 0
for _, hash in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  local key = ARGV[1] .. hash
  local id = redis.pcall('HGET', key, 'id')
  if (id == ARGV[3]) == (ARGV[2] == 'only') then
    deleted = deleted + redis.call('DEL', key)
    redis.call('ZREM', KEYS[1], hash)
  end
end
return deleted
