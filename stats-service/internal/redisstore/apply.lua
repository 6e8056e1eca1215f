-- Counts a batch, whole or not at all.
-- KEYS: offsets, total, days (the set of days that have a counter), pause,
--   incarnations, users (the set of users that have a hash); then the dedup key of each
--   completion; then, with rebuild keys, the dedup key of each in the rebuild that made
--   this generation; then the counter of each day in the batch; then the hash of each
--   user in the batch; then, with rebuild keys, the hash of each in that rebuild.
-- ARGV: partition, from, next, TTL of a dedup key in seconds, TTL of the counters in
--   seconds (0: none), generation, 1 with rebuild keys or 0, number of completions,
--   incarnation or empty, number of days; then for each completion its offset, the index
--   of its day and that of its user, from 1 (0: without a user); then the days; then the
--   users.
-- Returns the number counted; -1 when the stored offset is not from; -2 while paused;
--   the stored generation when it is another one.
local offsets, total, days, pause, incarnations, users = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local partition, from, next, dedup_ttl, ttl = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local generation, rebuild_keys, completions, incarnation = ARGV[6], ARGV[7] == '1', tonumber(ARGV[8]), ARGV[9]

-- Before the first day and the first user, in KEYS and in ARGV.
local day_keys = 6 + (rebuild_keys and 2 or 1) * completions
local user_keys = day_keys + tonumber(ARGV[10])
local day_args = 10 + 3 * completions
local user_args = day_args + tonumber(ARGV[10])
local user_count = #ARGV - user_args

local function is(key, kind)
  return redis.call('TYPE', key).ok == kind
end

-- Lua numbers are exact up to 15 digits.
local function is_number(text)
  return text and #text <= 15 and text:match('^%d+$')
end
local function number(key)
  return is(key, 'string') and is_number(redis.call('GET', key))
end

if not is(offsets, 'hash') then
  return -1
end
local stored = redis.call('HGET', offsets, 'generation')
if redis.call('HGET', offsets, partition) ~= from or not stored then
  return -1
end
if not number(total) or not (is(days, 'set') or is(days, 'none')) or not (is(users, 'set') or is(users, 'none')) then
  return -1
end
-- A rebuild sets the pause with a TTL of seconds; without one, another program wrote it.
if redis.call('EXISTS', pause) == 1 then
  if redis.call('PTTL', pause) > 0 then
    return -2
  end
  redis.call('DEL', pause)
end
if stored ~= generation then
  return stored
end

-- A key that another program overwrote hides a duplicate or a count. The script removes
-- it, and the generation, so that a recount starts. These checks come before all writes,
-- because Redis does not undo a script that fails halfway.
local overwritten = {}
for i = 7, day_keys do
  local key = KEYS[i]
  if not is(key, 'none') and not (is(key, 'string') and redis.call('GET', key):match(':%d+:[%w%-]+$')) then
    table.insert(overwritten, key)
  end
end
for i = day_keys + 1, user_keys do
  local day = ARGV[day_args + i - day_keys]
  if redis.call('SISMEMBER', days, day) == 1 and not number(KEYS[i]) then
    table.insert(overwritten, KEYS[i])
  end
end

-- The hash of a user has the generation that it belongs to. After a rebuild it stays
-- under the name that the rebuild gave it until it is moved. A hash of an earlier
-- generation, or of another program, is none.
local function has_generation(key)
  return is(key, 'hash') and redis.call('HGET', key, 'generation') == generation
end
local hashes = {} -- by user; false without one
for user = 1, user_count do
  local key, rebuilt = KEYS[user_keys + user], KEYS[user_keys + user_count + user]
  hashes[user] = has_generation(key) and key or rebuilt and has_generation(rebuilt) and rebuilt
  local known = redis.call('SISMEMBER', users, ARGV[user_args + user]) == 1
  if known ~= (hashes[user] and true or false) or known and not is_number(redis.call('HGET', hashes[user], 'completed')) then
    table.insert(overwritten, key)
  end
end
for i = 1, completions do
  local hash = hashes[tonumber(ARGV[10 + 3 * i])]
  local count = hash and redis.call('HGET', hash, ARGV[day_args + ARGV[9 + 3 * i]])
  if count and not is_number(count) then
    table.insert(overwritten, hash)
  end
end
if #overwritten > 0 then
  for _, key in ipairs(overwritten) do
    redis.call('DEL', key)
  end
  redis.call('HDEL', offsets, 'generation')
  return -1
end

-- A dedup key of this generation with another position makes a duplicate. With this
-- position it is this record, whose count was lost. A dedup key of another generation
-- belongs to counters that are gone, of this log or another.
local function is_duplicate(i, position)
  local rebuilt = rebuild_keys and redis.call('GET', KEYS[6 + completions + i])
  if rebuilt and rebuilt ~= position then
    return true
  end
  local key = KEYS[6 + i]
  if redis.call('SET', key, position, 'EX', dedup_ttl, 'NX') then
    return false
  end
  local known = redis.call('GET', key)
  if known ~= position and known:match('[^:]*$') == generation then
    return true
  end
  redis.call('SET', key, position, 'EX', dedup_ttl)
  return false
end

local counted, by_day, by_user = 0, {}, {}
for i = 1, completions do
  if not is_duplicate(i, partition .. ':' .. ARGV[8 + 3 * i] .. ':' .. generation) then
    local day, user = tonumber(ARGV[9 + 3 * i]), tonumber(ARGV[10 + 3 * i])
    by_day[day] = (by_day[day] or 0) + 1
    counted = counted + 1
    if user > 0 then
      by_user[user] = by_user[user] or {}
      by_user[user][day] = (by_user[user][day] or 0) + 1
    end
  end
end

local touched = {offsets, total, days, users}
for day, n in pairs(by_day) do
  local counter = KEYS[day_keys + day]
  if redis.call('SADD', days, ARGV[day_args + day]) == 1 then
    redis.call('SET', counter, n) -- a counter outside the set of days was not ours
  else
    redis.call('INCRBY', counter, n)
  end
  table.insert(touched, counter)
end
for user, counts in pairs(by_user) do
  local key = KEYS[user_keys + user]
  if hashes[user] ~= key then
    redis.call('UNLINK', key)
    if hashes[user] then
      redis.call('RENAME', hashes[user], key)
      redis.call('PERSIST', key)
    end
  end
  for day, n in pairs(counts) do
    redis.call('HINCRBY', key, ARGV[day_args + day], n)
    redis.call('HINCRBY', key, 'completed', n)
  end
  redis.call('HSET', key, 'generation', generation)
  redis.call('SADD', users, ARGV[user_args + user])
  table.insert(touched, key)
end
if counted > 0 then
  redis.call('INCRBY', total, counted)
end
redis.call('HSET', offsets, partition, next)
if incarnation ~= '' then
  if not is(incarnations, 'hash') then
    redis.call('DEL', incarnations)
  end
  redis.call('HSET', incarnations, partition, generation .. ' ' .. incarnation)
  table.insert(touched, incarnations)
end
if ttl ~= '0' then
  for _, key in ipairs(touched) do
    redis.call('EXPIRE', key, ttl)
  end
end
return counted
