-- Returns the list, or that it equals the reader's local copy, and the generation that
-- a fill must name.
--
-- KEYS  1 list  2 its metadata  3 generation
-- ARGV  1 a new random generation, stored if there is none
--       2 the metadata of the local copy, or nothing  3 the length of the local copy
-- Returns {generation, how many keys held another type and were removed,
--          list or 1 for the local copy, metadata}, the last two false when missing.
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

local metadata, generation = text(KEYS[2]), text(KEYS[3])
if not generation then
  generation = ARGV[1]
  redis.call('SET', KEYS[3], generation)
end
if metadata == ARGV[2] and redis.pcall('STRLEN', KEYS[1]) == tonumber(ARGV[3]) then
  return {generation, removed, 1, false}
end
local list = text(KEYS[1])
return {generation, removed, list, metadata}
