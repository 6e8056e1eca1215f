-- Says where to go on with a partition, and prepares a recount where needed.
-- KEYS: offsets, targets, total, days (the index of the days there are), origins.
-- ARGV: partition, oldest, newest, prefix of the days' keys, the stored offset
--   that is to be given up, or nothing, a name for a new generation, the seconds
--   that the keys are kept or 0 for ever, the reason for giving the offset up, and
--   the log's origin or nothing.
-- Returns {offset, reason for a recount or nothing, generation, origin stored}.
local offsets, targets, total, days, origins = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local partition, oldest, newest, prefix = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local discard, generation, lifetime, why, origin = ARGV[5], ARGV[6], ARGV[7], ARGV[8], ARGV[9]

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
  redis.call('DEL', offsets, targets, total, days, origins)
end

-- The origin belongs to the generation before it: an earlier version begins a count
-- without storing one.
local function bound()
  local text = is(origins, 'hash') and redis.call('HGET', origins, partition)
  local own = redis.call('HGET', offsets, 'generation') .. ' '
  return text and text:sub(1, #own) == own and text:sub(#own + 1) or ''
end

local function bind()
  if origin == '' then
    return
  end
  if redis.call('TYPE', origins).ok ~= 'hash' then
    redis.call('DEL', origins)
  end
  redis.call('HSET', origins, partition, redis.call('HGET', offsets, 'generation') .. ' ' .. origin)
end

local stored, reason = false, 'nothing_known'
if whole() then
  stored = redis.call('HGET', offsets, partition)
else
  reason = 'inconsistent'
  reset()
end
if stored and stored == discard then
  reason = why
  reset()
elseif stored then
  local found = bound()
  -- What an earlier version left is of this log, if it is in it.
  if found == '' and tonumber(oldest) <= tonumber(stored) and tonumber(stored) <= tonumber(newest) then
    bind()
  end
  return {tonumber(stored), '', redis.call('HGET', offsets, 'generation'), found}
end

redis.call('HSETNX', offsets, 'generation', generation)
redis.call('HSET', offsets, partition, oldest)
redis.call('HSET', targets, partition, newest)
redis.call('SET', total, 0, 'NX')
bind()
if lifetime ~= '0' then
  for _, key in ipairs({offsets, targets, total, origins}) do
    redis.call('EXPIRE', key, lifetime)
  end
end
return {tonumber(oldest), reason, redis.call('HGET', offsets, 'generation'), origin}
