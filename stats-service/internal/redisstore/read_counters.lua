-- Reads the counters, and writes nothing: a full Redis refuses a transaction that
-- holds reads alone, and lets a script run that does not write.
-- KEYS: total, days (the index of the days there are), offsets, targets, the
--   rebuild's lock, then for each day its counter.
-- ARGV: the days.
-- Returns {their counts, offsets, targets, milliseconds left to the lock, total},
-- or nothing but {0} when one of them was overwritten by somebody else.
local total, days, offsets, targets, lock = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]

local function is(key, kind)
  local found = redis.call('TYPE', key).ok
  return found == kind or found == 'none'
end
local function number(key)
  if not is(key, 'string') then
    return nil
  end
  local text = redis.call('GET', key) or '0'
  return #text <= 15 and text:match('^%d+$') and tonumber(text) or nil
end

local sum = number(total)
if not (sum and is(days, 'set') and is(offsets, 'hash') and is(targets, 'hash')) then
  return {0}
end
-- A counter that is not in the index belongs to no count.
local counts = {}
for i, day in ipairs(ARGV) do
  local count = redis.call('SISMEMBER', days, day) == 1 and number(KEYS[5 + i])
  if count == nil then
    return {0}
  end
  counts[i] = count or 0
end
return {counts, redis.call('HGETALL', offsets), redis.call('HGETALL', targets), redis.call('PTTL', lock), sum}
