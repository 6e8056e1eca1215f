-- Returns a user's list, or that it equals the reader's local copy, and the generation
-- that a fill must name.
--
-- KEYS  1 list  2 its metadata  3 generation  4 the epoch, which all users' lists share
-- ARGV  1 a new random text, for the epoch and the generation that do not exist
--       2 the metadata of the local copy, or nothing  3 the length of the local copy
-- Returns {generation, how many keys held another type and were removed,
--          list or 1 for the local copy, metadata}, the last two false when missing.
local ttl = 3600 -- seconds that a generation stays, more than a list
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

local metadata, generation, epoch = text(KEYS[2]), text(KEYS[3]), text(KEYS[4])
if not epoch then
  epoch = ARGV[1]
  redis.call('SET', KEYS[4], epoch)
end

-- A generation begins with the epoch in which it was made. A list is stored under the
-- generation beside it, so a list without one, or with one of an earlier epoch, may be
-- older than a confirmed invalidation.
local prefix = epoch .. ':'
if not generation or string.sub(generation, 1, #prefix) ~= prefix then
  redis.call('DEL', KEYS[1], KEYS[2])
  generation = prefix .. ARGV[1]
  redis.call('SET', KEYS[3], generation, 'EX', ttl)
  return {generation, removed, false, false}
end
if metadata == ARGV[2] and redis.pcall('STRLEN', KEYS[1]) == tonumber(ARGV[3]) then
  return {generation, removed, 1, false}
end
local list = text(KEYS[1])
return {generation, removed, list, metadata}
