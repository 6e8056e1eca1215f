-- Says where to go on with a partition, and prepares a recount where needed.
-- KEYS: offsets, targets, total, days (the index of the days there are).
-- ARGV: partition, oldest, newest, prefix of the days' keys, the stored offset
--   that is to be given up, or nothing, a name for a new generation, and the
--   seconds that the keys are kept or 0 for ever.
-- Returns {offset, reason for a recount or nothing, generation}.
local offsets, targets, total, days = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local partition, oldest, newest, prefix = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local discard, generation, lifetime = ARGV[5], ARGV[6], ARGV[7]

local function is(key, kind)
  local found = redis.call('TYPE', key).ok
  return found == kind or found == 'none'
end

-- What is stored is a number of at most 15 digits, which Lua holds exactly; nil
-- when there is none, false when there is something else.
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

local function numbers(hash)
  local fields = redis.call('HGETALL', hash)
  for i = 1, #fields, 2 do
    if fields[i]:match('^%d+$') and not (fields[i + 1]:match('^%d+$') and #fields[i + 1] <= 15) then
      return false
    end
  end
  return true
end

-- The counters are whole when the days add up to the total. It is there, and a
-- generation too, from the first beginning on: missing beside offsets, they
-- were removed. Whatever else is there was written by somebody else.
local function whole()
  if not (is(offsets, 'hash') and is(targets, 'hash') and is(days, 'set')) then
    return false
  end
  if not (numbers(offsets) and numbers(targets)) then
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

-- The marks stay behind: those of the generation that ends here mean nothing to
-- the next, which may count another log.
local function reset()
  if is(days, 'set') then
    for _, day in ipairs(redis.call('SMEMBERS', days)) do
      redis.call('DEL', prefix .. day)
    end
  end
  redis.call('DEL', offsets, targets, total, days)
end

local stored, reason = false, 'nothing_known'
if whole() then
  stored = redis.call('HGET', offsets, partition)
else
  reason = 'inconsistent'
  reset()
end
if stored and stored == discard then
  reason = 'outside_log'
  reset()
elseif stored then
  return {tonumber(stored), '', redis.call('HGET', offsets, 'generation')}
end

redis.call('HSETNX', offsets, 'generation', generation)
redis.call('HSET', offsets, partition, oldest)
redis.call('HSET', targets, partition, newest)
redis.call('SET', total, 0, 'NX')
if lifetime ~= '0' then
  for _, key in ipairs({offsets, targets, total}) do
    redis.call('EXPIRE', key, lifetime)
  end
end
return {tonumber(oldest), reason, redis.call('HGET', offsets, 'generation')}
