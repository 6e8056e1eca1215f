-- Puts a rebuild's count in the place of the live one, whole or not at all.
-- KEYS: lock, hold, the live offsets, targets, total and days, then the shadow's.
-- ARGV: the lock's token, the shadow's generation, and the prefixes of the days'
--   counters, live and shadow.
-- Returns {'swapped', total before, total after}, followed for each day that
--   differs by the day, before and after; or {'swapped'} when it was done before;
--   or {why not}: 'unlocked', 'lost' (the shadow is not whole) or 'behind'.
local lock, hold = KEYS[1], KEYS[2]
local offsets, targets, total, days = KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local shadow = {offsets = KEYS[7], targets = KEYS[8], total = KEYS[9], days = KEYS[10]}
local token, generation, live_day, shadow_day = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

if redis.call('HGET', offsets, 'generation') == generation then
  return {'swapped'}
end
if redis.call('GET', lock) ~= token then
  return {'unlocked'}
end

local sum, after, union = 0, {}, {}
for _, day in ipairs(redis.call('SMEMBERS', shadow.days)) do
  after[day] = tonumber(redis.call('GET', shadow_day .. day) or 0)
  sum = sum + after[day]
  table.insert(union, day)
end
local counted = tonumber(redis.call('GET', shadow.total) or -1)
if counted ~= sum or redis.call('HGET', shadow.offsets, 'generation') ~= generation then
  return {'lost'}
end

local place = redis.call('HGETALL', offsets)
for i = 1, #place, 2 do
  local reached = redis.call('HGET', shadow.offsets, place[i])
  if place[i] ~= 'generation' and tonumber(reached or -1) < tonumber(place[i + 1]) then
    return {'behind'}
  end
end

local before = {}
for _, day in ipairs(redis.call('SMEMBERS', days)) do
  before[day] = tonumber(redis.call('GET', live_day .. day) or 0)
  redis.call('DEL', live_day .. day)
  if not after[day] then
    table.insert(union, day)
  end
end
table.sort(union)
local answer = {'swapped', tonumber(redis.call('GET', total) or 0), counted}
for _, day in ipairs(union) do
  local was, is = before[day] or 0, after[day] or 0
  if was ~= is then
    table.insert(answer, day)
    table.insert(answer, was)
    table.insert(answer, is)
  end
end

local function take(from, to)
  redis.call('DEL', to)
  if redis.call('EXISTS', from) == 1 then
    redis.call('RENAME', from, to)
    redis.call('PERSIST', to)
  end
end
for day in pairs(after) do
  take(shadow_day .. day, live_day .. day)
end
take(shadow.days, days)
take(shadow.total, total)
take(shadow.offsets, offsets)
redis.call('DEL', shadow.targets, hold)

-- A recount that was under way goes on from here, and is not complete before it
-- has come to where it was to.
place = redis.call('HGETALL', offsets)
for i = 1, #place, 2 do
  local target = tonumber(redis.call('HGET', targets, place[i]) or 0)
  if place[i] ~= 'generation' and target < tonumber(place[i + 1]) then
    redis.call('HSET', targets, place[i], place[i + 1])
  end
end
return answer
