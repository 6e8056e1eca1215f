-- Reads the counters of a user in one step. It is a script without writes, which a full
-- Redis runs.
-- KEYS: users (the set of users that have a hash), offsets, targets, the rebuild's lock,
--   the user's hash, and that in the rebuild that made this generation.
-- ARGV: generation, the user; then the days.
-- Returns {counts of the days, offsets, targets, TTL of the lock in ms, total}; {0} when
--   a key was overwritten or removed; the stored generation when it is another one.
local users, offsets, targets, lock = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local generation, user = ARGV[1], ARGV[2]

local function is(key, kind)
  local found = redis.call('TYPE', key).ok
  return found == kind or found == 'none'
end

if not (is(users, 'set') and is(offsets, 'hash') and is(targets, 'hash')) then
  return {0}
end
-- Before the first start there are no counters and no generation.
local stored = redis.call('HGET', offsets, 'generation')
if not stored and redis.call('EXISTS', offsets) == 1 then
  return {0}
end
if stored and stored ~= generation then
  return stored
end

-- A hash of another generation belongs to counters that are gone.
local hash
for i = 5, 6 do
  if stored and redis.call('TYPE', KEYS[i]).ok == 'hash' and redis.call('HGET', KEYS[i], 'generation') == stored then
    hash = KEYS[i]
    break
  end
end
if (redis.call('SISMEMBER', users, user) == 1) ~= (hash ~= nil) then
  return {0}
end

local counts = {}
for i, field in ipairs({'completed', unpack(ARGV, 3)}) do
  local text = hash and redis.call('HGET', hash, field) or '0'
  counts[i] = #text <= 15 and text:match('^%d+$') and tonumber(text)
  if not counts[i] then
    return {0}
  end
end
local total = table.remove(counts, 1)
return {counts, redis.call('HGETALL', offsets), redis.call('HGETALL', targets), redis.call('PTTL', lock), total}
