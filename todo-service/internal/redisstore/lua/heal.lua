-- Invalidates the list, as invalidate.lua does, unless the writers of all these
-- events have done so.
--
-- KEYS  1 list  2 what is beside it  3 generation  4 the confirmed events, a set
-- ARGV  1 a new random generation
--       then the ids of committed events
-- Returns 1 when it invalidated the list, 0 when that was not needed.
local list, beside, generation, confirmed = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local together = 1000 -- ids in one command: Lua passes no more than 8000 values

-- Each event comes here once, so its id is of no use afterwards. If it comes
-- again, the list is invalidated once more than needed.
local known = 0
if redis.call('TYPE', confirmed).ok == 'set' then
  for first = 2, #ARGV, together do
    known = known + redis.call('SREM', confirmed, unpack(ARGV, first, math.min(first + together - 1, #ARGV)))
  end
end
if known == #ARGV - 1 then
  return 0
end
redis.call('DEL', list, beside)
redis.call('SET', generation, ARGV[1])
return 1
