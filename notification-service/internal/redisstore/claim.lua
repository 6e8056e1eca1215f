-- A partition's step from one notification to the next: marks the one as done
-- and claims the other, or does one of the two.
-- KEYS[1] when any was last done; KEYS[2] mark that is done; KEYS[3] mark to
-- claim; KEYS[4] since when that one is refused.
-- ARGV[1] 'claim', 'done' or 'both'; ARGV[2] our claim, which names its owner;
-- ARGV[3] lease in ms; ARGV[4] how long a done mark is kept, in ms.
-- Returns the state of the second, when it was claimed, since when it is refused,
-- when any was last done, and then each key that was overwritten from outside.
local time = redis.call('TIME')
local now = string.format('%d%03d', time[1], math.floor(time[2] / 1000))
local spoiled = {}

-- A claim has a lifetime. What is neither that nor done was written by somebody else.
local function own(key, held)
  return held == 'done' or held == ARGV[2] or held:sub(1, 11) == 'claimed by ' and redis.call('PTTL', key) > 0
end
-- The value of a key, false when there is none, or one that was overwritten.
local function value(key, found, valid)
  if found and valid(key, found) or not found and redis.call('EXISTS', key) == 0 then
    return found
  end
  spoiled[#spoiled + 1] = key
  return false
end
local function moment(_, text)
  return #text <= 15 and text:match('^%d+$')
end

if ARGV[1] ~= 'claim' then
  -- A claim taken over, or done by whoever took it over, is left as it is.
  local held = value(KEYS[2], redis.call('MGET', KEYS[2])[1], own)
  if not held or held == ARGV[2] then
    redis.call('SET', KEYS[2], 'done', 'PX', ARGV[4])
  end
end
local found, state = redis.call('MGET', KEYS[3], KEYS[4], KEYS[1]), 'done'
local refused, sent = '', value(KEYS[1], found[3], moment) or ''
if ARGV[1] ~= 'claim' then
  redis.call('SET', KEYS[1], now)
  sent = now
end
if ARGV[1] ~= 'done' then
  -- The lease is the key's time to live, so a claim that ran out is not there. What
  -- was overwritten says nothing about the notification: sent twice is better than lost.
  local held = value(KEYS[3], found[1], own)
  if held and held ~= 'done' and held ~= ARGV[2] then
    state = 'busy'
  elseif not held or held == ARGV[2] then
    state = 'mine'
    refused = value(KEYS[4], found[2], moment) or ''
    redis.call('SET', KEYS[3], ARGV[2], 'PX', ARGV[3])
  end
end
return {state, now, refused, sent, unpack(spoiled)}
