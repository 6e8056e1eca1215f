-- Invalidates the lists of the users of all these events, as invalidate_user.lua does,
-- unless the invalidations of all of them are confirmed.
--
-- KEYS  1 the confirmed events of all users, a set
--       then list, metadata and generation of each user
-- ARGV  the ids of committed events
-- Returns 1 when it invalidated the lists, 0 when that was not needed.
local confirmed = KEYS[1]
local batch = 1000 -- ids or keys in one command: Lua passes no more than 8000 values

local function each(command, values, first)
  local sum = 0
  for i = first, #values, batch do
    local last = math.min(i + batch - 1, #values)
    sum = sum + command(unpack(values, i, last))
  end
  return sum
end

-- Each event is healed once, so its id is removed. If the event comes again, the lists
-- are invalidated once more than needed.
local removed = 0
if redis.call('TYPE', confirmed).ok == 'set' then
  removed = each(function(...) return redis.call('SREM', confirmed, ...) end, ARGV, 1)
end
if removed == #ARGV then
  return 0
end
each(function(...) return redis.call('DEL', ...) end, KEYS, 2)
return 1
