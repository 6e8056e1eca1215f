-- Invalidates the list, as invalidate.lua does, unless the invalidations of all these
-- events are confirmed.
--
-- KEYS  1 list  2 its metadata  3 generation  4 the confirmed events, a set
-- ARGV  1 a new random generation
--       then the ids of committed events
-- Returns 1 when it invalidated the list, 0 when that was not needed.
local list, metadata, generation, confirmed = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local batch = 1000 -- ids in one command: Lua passes no more than 8000 values

-- Each event is healed once, so its id is removed. If the event comes again, the list
-- is invalidated once more than needed.
local removed = 0
if redis.call('TYPE', confirmed).ok == 'set' then
  for first = 2, #ARGV, batch do
    removed = removed + redis.call('SREM', confirmed, unpack(ARGV, first, math.min(first + batch - 1, #ARGV)))
  end
end
if removed == #ARGV - 1 then
  return 0
end
redis.call('DEL', list, metadata)
redis.call('SET', generation, ARGV[1])
return 1
