-- Counts a batch, whole or not at all.
-- KEYS: offsets, total, days (the index of the days there are), then for each
--   completion its mark, then for each day of the batch its counter.
-- ARGV: partition, from, next, seconds that a mark is kept, completions;
--   then for each completion its offset and the number of its day, from 1;
--   then the days.
-- Returns how many counted, or -1 when the partition is not at from.
local offsets, total, days = KEYS[1], KEYS[2], KEYS[3]
local partition, from, next, keep = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local completions = tonumber(ARGV[5])

local generation = redis.call('HGET', offsets, 'generation')
if redis.call('HGET', offsets, partition) ~= from or not generation or redis.call('EXISTS', total) == 0 then
  return -1
end

-- A mark of this generation that was set from another place is a duplicate's.
-- One from this very place is the record itself: counting it did not last. One
-- of another generation belongs to a count that is gone, of this log or another.
local counted, byday = 0, {}
for i = 1, completions do
  local mark = KEYS[3 + i]
  local place = partition .. ':' .. ARGV[4 + 2 * i] .. ':' .. generation
  local known = redis.call('GET', mark)
  if not known or known == place or known:match('[^:]*$') ~= generation then
    redis.call('SET', mark, place, 'EX', keep)
    local day = tonumber(ARGV[5 + 2 * i])
    byday[day] = (byday[day] or 0) + 1
    counted = counted + 1
  end
end

for day, n in pairs(byday) do
  local counter = KEYS[3 + completions + day]
  if redis.call('SADD', days, ARGV[5 + 2 * completions + day]) == 1 then
    redis.call('SET', counter, n) -- what was there before belonged to no count
  else
    redis.call('INCRBY', counter, n)
  end
end
if counted > 0 then
  redis.call('INCRBY', total, counted)
end
redis.call('HSET', offsets, partition, next)
return counted
