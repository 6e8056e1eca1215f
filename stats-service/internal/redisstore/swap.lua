-- Puts a rebuild's count in the place of the live one, whole or not at all.
-- KEYS: lock, hold, the live offsets, targets, total, days and origins, then the
--   shadow's.
-- ARGV: the lock's token, the shadow's generation, and the prefixes of the days'
--   counters, live and shadow; then the partitions whose live offset is of another
--   log, each with that offset.
-- Returns {'swapped', total before, total after}, followed for each day that
--   differs by the day, before and after; or {'swapped'} when it was done before;
--   or {why not}: 'unlocked', 'lost' (the shadow is not whole) or 'behind'.
local lock, hold = KEYS[1], KEYS[2]
local offsets, targets, total, days, origins = KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7]
local shadow = {offsets = KEYS[8], targets = KEYS[9], total = KEYS[10], days = KEYS[11], origins = KEYS[12]}
local token, generation, live_day, shadow_day = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

-- A key of another type, and text that is no number of at most 15 digits, were
-- written by somebody else.
local function is(key, kind)
  return redis.call('TYPE', key).ok == kind
end
local function number(text)
  return text and #text <= 15 and text:match('^%d+$') and tonumber(text)
end
local function counter(key)
  return is(key, 'string') and number(redis.call('GET', key))
end
local function members(key)
  return is(key, 'set') and redis.call('SMEMBERS', key) or {}
end
local function fields(key)
  return is(key, 'hash') and redis.call('HGETALL', key) or {}
end
local function field(key, name)
  return is(key, 'hash') and redis.call('HGET', key, name)
end

if field(offsets, 'generation') == generation then
  return {'swapped'}
end
if not is(lock, 'string') or redis.call('GET', lock) ~= token then
  return {'unlocked'}
end

local sum, after, union = 0, {}, {}
for _, day in ipairs(members(shadow.days)) do
  after[day] = counter(shadow_day .. day) or 0
  sum = sum + after[day]
  table.insert(union, day)
end
local counted = counter(shadow.total)
if counted ~= sum or field(shadow.offsets, 'generation') ~= generation then
  return {'lost'}
end

local foreign = {}
for i = 5, #ARGV, 2 do
  foreign[ARGV[i]] = ARGV[i + 1]
end
local place = fields(offsets)
for i = 1, #place, 2 do
  local live = place[i] ~= 'generation' and number(place[i + 1])
  if live and foreign[place[i]] ~= place[i + 1] and (number(field(shadow.offsets, place[i])) or -1) < live then
    return {'behind'}
  end
end

local before = {}
for _, day in ipairs(members(days)) do
  before[day] = counter(live_day .. day) or 0
  redis.call('DEL', live_day .. day)
  if not after[day] then
    table.insert(union, day)
  end
end
table.sort(union)
local answer = {'swapped', counter(total) or 0, counted}
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
take(shadow.origins, origins)
redis.call('DEL', shadow.targets, hold)

-- A recount that was under way goes on from here, and is not complete before it
-- has come to where it was to.
if not is(targets, 'hash') then
  redis.call('DEL', targets)
end
local stored = fields(targets)
for i = 1, #stored, 2 do
  if foreign[stored[i]] or not number(stored[i + 1]) then
    redis.call('HDEL', targets, stored[i])
  end
end
place = redis.call('HGETALL', offsets)
for i = 1, #place, 2 do
  local target = number(field(targets, place[i])) or 0
  if place[i] ~= 'generation' and target < tonumber(place[i + 1]) then
    redis.call('HSET', targets, place[i], place[i + 1])
  end
end
return answer
