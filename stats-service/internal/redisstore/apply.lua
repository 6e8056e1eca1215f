-- Counts a batch, whole or not at all.
-- KEYS: offsets, total, days (the index of the days there are), hold, origins, then
--   for each completion its mark, then, if there are twins, for each the mark that
--   the rebuild may have set which made this generation, then for each day of
--   the batch its counter.
-- ARGV: partition, from, next, seconds that a mark is kept, seconds that the
--   counters are kept or 0 for ever, the generation, 1 if there are twins or 0,
--   completions, the log's origin or nothing; then for each completion its offset
--   and the number of its day, from 1; then the days.
-- Returns how many counted, -1 when the partition is not at from, -2 while
-- counting is held, or the generation when it is another one.
local offsets, total, days, hold, origins = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local partition, from, next, keep, lifetime = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local generation, twins, completions, origin = ARGV[6], ARGV[7] == '1', tonumber(ARGV[8]), ARGV[9]

local function is(key, kind)
  return redis.call('TYPE', key).ok == kind
end

-- Text of at most 15 digits can be counted on.
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
-- A rebuild sets it with a lifetime of some seconds.
if redis.call('EXISTS', hold) == 1 then
  if redis.call('PTTL', hold) > 0 then
    return -2
  end
  redis.call('DEL', hold)
end
if stored ~= generation then
  return stored
end

-- What was overwritten by somebody else hides what is a duplicate, or what was
-- counted. It is removed, and without its generation the count begins anew.
-- Nothing was written before: a script that fails half way is not undone.
local spoiled = {}
for i = 1, (twins and 2 or 1) * completions do
  local mark = KEYS[5 + i]
  if not is(mark, 'none') and not (is(mark, 'string') and redis.call('GET', mark):match(':%d+:[%w%-]+$')) then
    table.insert(spoiled, mark)
  end
end
local counters = 5 + (twins and 2 or 1) * completions
for i = counters + 1, #KEYS do
  local day = ARGV[9 + 2 * completions + i - counters]
  if redis.call('SISMEMBER', days, day) == 1 and not number(KEYS[i]) then
    table.insert(spoiled, KEYS[i])
  end
end
if #spoiled > 0 then
  for _, key in ipairs(spoiled) do
    redis.call('DEL', key)
  end
  redis.call('HDEL', offsets, 'generation')
  return -1
end

-- A mark of this generation that was set from another place is a duplicate's.
-- One from this very place is the record itself: counting it did not last. One
-- of another generation belongs to a count that is gone, of this log or another.
local function duplicate(i, place)
  local twin = twins and redis.call('GET', KEYS[5 + completions + i])
  if twin and twin ~= place then
    return true
  end
  local mark = KEYS[5 + i]
  if redis.call('SET', mark, place, 'EX', keep, 'NX') then
    return false
  end
  local known = redis.call('GET', mark)
  if known ~= place and known:match('[^:]*$') == generation then
    return true
  end
  redis.call('SET', mark, place, 'EX', keep)
  return false
end

local counted, byday = 0, {}
for i = 1, completions do
  if not duplicate(i, partition .. ':' .. ARGV[8 + 2 * i] .. ':' .. generation) then
    local day = tonumber(ARGV[9 + 2 * i])
    byday[day] = (byday[day] or 0) + 1
    counted = counted + 1
  end
end

local touched = {offsets, total, days}
for day, n in pairs(byday) do
  local counter = KEYS[counters + day]
  if redis.call('SADD', days, ARGV[9 + 2 * completions + day]) == 1 then
    redis.call('SET', counter, n) -- what was there before belonged to no count
  else
    redis.call('INCRBY', counter, n)
  end
  table.insert(touched, counter)
end
if counted > 0 then
  redis.call('INCRBY', total, counted)
end
redis.call('HSET', offsets, partition, next)
if origin ~= '' then
  if not is(origins, 'hash') then
    redis.call('DEL', origins)
  end
  redis.call('HSET', origins, partition, generation .. ' ' .. origin)
  table.insert(touched, origins)
end
if lifetime ~= '0' then
  for _, key in ipairs(touched) do
    redis.call('EXPIRE', key, lifetime)
  end
end
return counted
