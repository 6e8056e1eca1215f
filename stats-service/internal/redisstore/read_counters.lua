-- Reads the counters in one step. It is a script without writes, which a full Redis
-- runs; a full Redis rejects a MULTI transaction, even one that only reads.
-- KEYS: total, days (the set of days that have a counter), offsets, targets, the
--   rebuild's lock; then the counter of each day.
-- ARGV: the days.
-- Returns {counts of the days, offsets, targets, TTL of the lock in ms, total}, or {0}
--   when another program overwrote one of the keys.
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
-- A counter outside the set of days is not ours.
local counts = {}
for i, day in ipairs(ARGV) do
  local count = redis.call('SISMEMBER', days, day) == 1 and number(KEYS[5 + i])
  if count == nil then
    return {0}
  end
  counts[i] = count or 0
end
return {counts, redis.call('HGETALL', offsets), redis.call('HGETALL', targets), redis.call('PTTL', lock), sum}
