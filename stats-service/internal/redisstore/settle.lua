-- Settles the hashes of some users after other counters took effect: moves those of the
-- rebuild that made the counters to their names, and removes those of earlier counters.
-- KEYS: offsets, users (the set of users that have a hash), retired users; then for each
--   user the hash and that of the rebuild.
-- ARGV: generation; then the users.
-- Returns 1; 0 when the stored generation is another one; -1 when the counters of a user
--   are missing or do not add up. The script then removed the generation, so that a
--   recount starts.
local offsets, users, retired = KEYS[1], KEYS[2], KEYS[3]
local generation = ARGV[1]

local function is(key, kind)
  return redis.call('TYPE', key).ok == kind
end

if not is(offsets, 'hash') or redis.call('HGET', offsets, 'generation') ~= generation then
  return 0
end

local function has_generation(key)
  return is(key, 'hash') and redis.call('HGET', key, 'generation') == generation
end

-- Lua numbers are exact up to 15 digits.
local function adds_up(key)
  local sum, completed = 0, nil
  local fields = redis.call('HGETALL', key)
  for i = 1, #fields, 2 do
    local count = #fields[i + 1] <= 15 and fields[i + 1]:match('^%d+$') and tonumber(fields[i + 1])
    if fields[i] == 'completed' then
      completed = count
    elseif fields[i] ~= 'generation' then
      if not count then
        return false
      end
      sum = sum + count
    end
  end
  return completed == sum
end

-- Another program overwrote a set.
if not is(retired, 'set') then
  redis.call('UNLINK', retired)
end
local lost = not (is(users, 'set') or is(users, 'none'))

for i = 2, lost and 1 or #ARGV do
  local user, key, rebuilt = ARGV[i], KEYS[2 * i], KEYS[2 * i + 1]
  if has_generation(rebuilt) then
    redis.call('UNLINK', key)
    redis.call('RENAME', rebuilt, key)
    redis.call('PERSIST', key)
  elseif not has_generation(key) then
    redis.call('UNLINK', key)
  end
  local known = redis.call('SISMEMBER', users, user) == 1
  lost = lost or known ~= (redis.call('EXISTS', key) == 1) or known and not adds_up(key)
  redis.call('SREM', retired, user)
end
if lost then
  redis.call('HDEL', offsets, 'generation')
  return -1
end
return 1
