-- Replaces the live counters by the shadow counters, whole or not at all.
-- KEYS: lock, pause, retired users; the live offsets, targets, total, days, incarnations
--   and users; then the same of the shadow. The hashes of the users stay under their
--   names: settle.lua moves those of the shadow, and removes those of the retired users.
-- ARGV: the lock's token, the shadow's generation, the prefixes of the days' counters,
--   live and shadow; then for each partition whose live offset belongs to another log
--   the partition and that offset.
-- Returns {'swapped', total before, total after}, then for each day that differs the
--   day, its count before and after; {'swapped'} when an earlier call swapped; or
--   {'unlocked'}, {'lost'} (the shadow is incomplete) or {'behind'} the live counters.
local lock, pause, retired = KEYS[1], KEYS[2], KEYS[3]
local offsets, targets, total, days, incarnations, users = KEYS[4], KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[9]
local shadow = {offsets = KEYS[10], targets = KEYS[11], total = KEYS[12], days = KEYS[13], incarnations = KEYS[14], users = KEYS[15]}
local token, generation, live_day, shadow_day = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

-- Another program wrote a key of another type, or a text that is not a number of at
-- most 15 digits.
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
if counted ~= sum or field(shadow.offsets, 'generation') ~= generation or not (is(shadow.users, 'set') or is(shadow.users, 'none')) then
  return {'lost'}
end

local foreign = {}
for i = 5, #ARGV, 2 do
  foreign[ARGV[i]] = ARGV[i + 1]
end
local positions = fields(offsets)
for i = 1, #positions, 2 do
  local live = positions[i] ~= 'generation' and number(positions[i + 1])
  if live and foreign[positions[i]] ~= positions[i + 1] and (number(field(shadow.offsets, positions[i])) or -1) < live then
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
local reply = {'swapped', counter(total) or 0, counted}
for _, day in ipairs(union) do
  local was, is = before[day] or 0, after[day] or 0
  if was ~= is then
    table.insert(reply, day)
    table.insert(reply, was)
    table.insert(reply, is)
  end
end

local function move(from, to)
  redis.call('DEL', to)
  if redis.call('EXISTS', from) == 1 then
    redis.call('RENAME', from, to)
    redis.call('PERSIST', to)
  end
end
for day in pairs(after) do
  move(shadow_day .. day, live_day .. day)
end
move(shadow.days, days)
move(shadow.total, total)
move(shadow.offsets, offsets)
move(shadow.incarnations, incarnations)
if is(users, 'set') then
  if is(retired, 'set') then
    redis.call('SUNIONSTORE', retired, retired, users)
  else
    redis.call('RENAME', users, retired)
  end
end
move(shadow.users, users)
redis.call('DEL', shadow.targets, pause)

-- A recount that is running continues from here. It keeps its targets, so it is not
-- complete before it reaches them.
if not is(targets, 'hash') then
  redis.call('DEL', targets)
end
local stored = fields(targets)
for i = 1, #stored, 2 do
  if foreign[stored[i]] or not number(stored[i + 1]) then
    redis.call('HDEL', targets, stored[i])
  end
end
positions = redis.call('HGETALL', offsets)
for i = 1, #positions, 2 do
  local target = number(field(targets, positions[i])) or 0
  if positions[i] ~= 'generation' and target < tonumber(positions[i + 1]) then
    redis.call('HSET', targets, positions[i], positions[i + 1])
  end
end
return reply
