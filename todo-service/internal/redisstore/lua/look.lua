-- Begins a reader's turn after a miss: it returns the generation that a fill
-- must name, and the list if another reader has stored one meanwhile.
--
-- KEYS  1 list  2 what is beside it  3 generation
-- ARGV  1 a new random generation, installed when there is none
-- Returns {generation, how many keys held another type and were removed,
--          list, beside}, the last two false when missing.
local removed = 0

local function text(key)
  local value = redis.pcall('GET', key)
  if type(value) ~= 'table' then
    return value
  end
  redis.call('DEL', key)
  removed = removed + 1
  return false
end

local list, beside, generation = text(KEYS[1]), text(KEYS[2]), text(KEYS[3])
if not generation then
  generation = ARGV[1]
  redis.call('SET', KEYS[3], generation)
end
return {generation, removed, list, beside}
