-- Says where to go on with a partition, and prepares a recount where needed.
-- KEYS: offsets, targets, total, days (the index of the days there are).
-- ARGV: partition, oldest, newest, prefix of the days' keys, the stored offset
--   that is to be given up, or nothing, a name for a new generation, and the
--   seconds that the keys are kept or 0 for ever.
-- Returns {offset, reason for a recount or nothing, generation}.
local offsets, targets, total, days = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local partition, oldest, newest, prefix = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local discard, generation, lifetime = ARGV[5], ARGV[6], ARGV[7]

-- The counters are whole when the days add up to the total. It is there, and a
-- generation too, from the first beginning on: missing beside offsets, they
-- were removed.
local function whole()
  local sum = 0
  for _, day in ipairs(redis.call('SMEMBERS', days)) do
    sum = sum + (tonumber(redis.call('GET', prefix .. day)) or 0)
  end
  local stored = redis.call('GET', total)
  if redis.call('EXISTS', offsets) == 0 then
    return not stored and sum == 0
  end
  return stored and tonumber(stored) == sum and redis.call('HEXISTS', offsets, 'generation') == 1
end

-- The marks stay behind: those of the generation that ends here mean nothing to
-- the next, which may count another log.
local function reset()
  for _, day in ipairs(redis.call('SMEMBERS', days)) do
    redis.call('DEL', prefix .. day)
  end
  redis.call('DEL', offsets, targets, total, days)
end

local stored = redis.call('HGET', offsets, partition)
local reason = 'nothing_known'
if not whole() then
  reason = 'inconsistent'
  reset()
elseif stored and stored == discard then
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
