-- Counts a batch, whole or not at all.
-- KEYS: offsets, total, days (the set of days that have a counter), pause,
--   incarnations; then the dedup key of each completion; then, with rebuild keys, the
--   dedup key of each in the rebuild that made this generation; then the counter of
--   each day in the batch.
-- ARGV: partition, from, next, TTL of a dedup key in seconds, TTL of the counters in
--   seconds (0: none), generation, 1 with rebuild keys or 0, number of completions,
--   incarnation or empty; then for each completion its offset and the index of its
--   day, from 1; then the days.
-- Returns the number counted; -1 when the stored offset is not from; -2 while paused;
--   the stored generation when it is another one.
local offsets, total, days, pause, incarnations = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local partition, from, next, dedup_ttl, ttl = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local generation, rebuild_keys, completions, incarnation = ARGV[6], ARGV[7] == '1', tonumber(ARGV[8]), ARGV[9]

local function is(key, kind)
  return redis.call('TYPE', key).ok == kind
end

-- Lua numbers are exact up to 15 digits.
local function number(key)
  local text = is(key, 'string') and redis.call('GET', key)
  return text and #text <= 15 and text:match('^%d+$')
end

if not is(offsets, 'hash') then
  return -1
end
local stored = redis.call('HGET', offsets, 'generation')
if redis.call('HGET', offsets, partition) ~= from or not stored then
  return -1
end
if not number(total) or not (is(days, 'set') or is(days, 'none')) then
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

-- A dedup key or counter that another program overwrote hides a duplicate or a count.
-- The script removes it, and the generation, so that a recount starts. These checks
-- come before all writes, because Redis does not undo a script that fails halfway.
local overwritten = {}
for i = 1, (rebuild_keys and 2 or 1) * completions do
  local key = KEYS[5 + i]
  if not is(key, 'none') and not (is(key, 'string') and redis.call('GET', key):match(':%d+:[%w%-]+$')) then
    table.insert(overwritten, key)
  end
end
local counters = 5 + (rebuild_keys and 2 or 1) * completions
for i = counters + 1, #KEYS do
  local day = ARGV[9 + 2 * completions + i - counters]
  if redis.call('SISMEMBER', days, day) == 1 and not number(KEYS[i]) then
    table.insert(overwritten, KEYS[i])
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
  local rebuilt = rebuild_keys and redis.call('GET', KEYS[5 + completions + i])
  if rebuilt and rebuilt ~= position then
    return true
  end
  local key = KEYS[5 + i]
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

local counted, byday = 0, {}
for i = 1, completions do
  if not is_duplicate(i, partition .. ':' .. ARGV[8 + 2 * i] .. ':' .. generation) then
    local day = tonumber(ARGV[9 + 2 * i])
    byday[day] = (byday[day] or 0) + 1
    counted = counted + 1
  end
end

local touched = {offsets, total, days}
for day, n in pairs(byday) do
  local counter = KEYS[counters + day]
  if redis.call('SADD', days, ARGV[9 + 2 * completions + day]) == 1 then
    redis.call('SET', counter, n) -- a counter outside the set of days was not ours
  else
    redis.call('INCRBY', counter, n)
  end
  table.insert(touched, counter)
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
