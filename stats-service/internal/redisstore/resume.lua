-- Returns the offset where the counting of a partition continues, and starts a recount
-- where one is needed.
-- KEYS: offsets, targets, total, days (the set of days that have a counter),
--   incarnations, users (the set of users that have a hash), retired users.
-- ARGV: partition, the log's oldest and newest offset, prefix of the days' counters, the
--   stored offset to discard or empty, the name of a new generation, TTL of the keys in
--   seconds (0: none), the reason of the discard, incarnation or empty.
-- Returns {offset, reason of a recount or empty, generation, stored incarnation}.
local offsets, targets, total, days, incarnations, users, retired = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7]
local partition, oldest, newest, prefix = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local discard, generation, ttl, why, incarnation = ARGV[5], ARGV[6], ARGV[7], ARGV[8], ARGV[9]

local function is(key, kind)
  local found = redis.call('TYPE', key).ok
  return found == kind or found == 'none'
end

-- Returns a number of at most 15 digits, which Lua represents exactly; nil without a
-- value, false when another program overwrote it.
local function number(key)
  if not is(key, 'string') then
    return false
  end
  local text = redis.call('GET', key)
  if not text then
    return nil
  end
  return text:match('^%d+$') and #text <= 15 and tonumber(text)
end

local function has_numbers(hash)
  local fields = redis.call('HGETALL', hash)
  for i = 1, #fields, 2 do
    if fields[i]:match('^%d+$') and not (fields[i + 1]:match('^%d+$') and #fields[i + 1] <= 15) then
      return false
    end
  end
  return true
end

-- The counters are consistent when the days add up to the total. The first start
-- stores the total and the generation: beside offsets, a missing one was removed.
local function is_consistent()
  if not (is(offsets, 'hash') and is(targets, 'hash') and is(days, 'set') and is(users, 'set')) then
    return false
  end
  if not (has_numbers(offsets) and has_numbers(targets)) then
    return false
  end
  local sum = 0
  for _, day in ipairs(redis.call('SMEMBERS', days)) do
    local counted = number(prefix .. day)
    if counted == false then
      return false
    end
    sum = sum + (counted or 0)
  end
  local stored = number(total)
  if redis.call('EXISTS', offsets) == 0 then
    return stored == nil and sum == 0
  end
  return stored == sum and redis.call('HEXISTS', offsets, 'generation') == 1
end

-- The dedup keys stay: they have the ending generation, so the next one ignores them.
local function reset()
  if is(days, 'set') then
    for _, day in ipairs(redis.call('SMEMBERS', days)) do
      redis.call('DEL', prefix .. day)
    end
  end
  -- The hashes of the users have the ending generation, so nothing reads them any more.
  -- settle.lua removes them.
  if redis.call('TYPE', users).ok == 'set' then
    if redis.call('TYPE', retired).ok == 'set' then
      redis.call('SUNIONSTORE', retired, retired, users)
    else
      redis.call('RENAME', users, retired)
    end
  end
  redis.call('DEL', offsets, targets, total, days, incarnations, users)
end

-- A stored incarnation has its generation in front: an earlier version starts a
-- generation without storing an incarnation.
local function stored_incarnation()
  local text = is(incarnations, 'hash') and redis.call('HGET', incarnations, partition)
  local own = redis.call('HGET', offsets, 'generation') .. ' '
  return text and text:sub(1, #own) == own and text:sub(#own + 1) or ''
end

local function store_incarnation()
  if incarnation == '' then
    return
  end
  if redis.call('TYPE', incarnations).ok ~= 'hash' then
    redis.call('DEL', incarnations)
  end
  redis.call('HSET', incarnations, partition, redis.call('HGET', offsets, 'generation') .. ' ' .. incarnation)
end

local stored, reason = false, 'nothing_known'
if is_consistent() then
  stored = redis.call('HGET', offsets, partition)
else
  reason = 'inconsistent'
  reset()
end
if stored and stored == discard then
  reason = why
  reset()
elseif stored then
  local found = stored_incarnation()
  -- An earlier version stored no incarnation. Its offset belongs to this log if the log
  -- contains it.
  if found == '' and tonumber(oldest) <= tonumber(stored) and tonumber(stored) <= tonumber(newest) then
    store_incarnation()
  end
  return {tonumber(stored), '', redis.call('HGET', offsets, 'generation'), found}
end

redis.call('HSETNX', offsets, 'generation', generation)
redis.call('HSET', offsets, partition, oldest)
redis.call('HSET', targets, partition, newest)
redis.call('SET', total, 0, 'NX')
store_incarnation()
if ttl ~= '0' then
  for _, key in ipairs({offsets, targets, total, incarnations, retired}) do
    redis.call('EXPIRE', key, ttl)
  end
end
return {tonumber(oldest), reason, redis.call('HGET', offsets, 'generation'), incarnation}
