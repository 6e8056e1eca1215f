-- Moves a partition from one notification to the next: records that one was sent,
-- acquires another, or both in one step.
-- KEYS[1] time of the last delivery; KEYS[2] dedup key that was sent; KEYS[3] dedup
-- key to acquire; KEYS[4] since when that one is rejected.
-- ARGV[1] 'acquire', 'record' or 'both'; ARGV[2] this process's claim, which names
-- its owner; ARGV[3] lease in ms; ARGV[4] how long a sent dedup key is kept, in ms.
-- Returns the state of KEYS[3] ('acquired', 'leased' or 'sent'), the time of the
-- claim, since when it is rejected, the time of the last delivery, and then each key
-- that another program overwrote. Times are in ms, or empty.
local time = redis.call('TIME')
local now = string.format('%d%03d', time[1], math.floor(time[2] / 1000))
local overwritten = {}

-- Every claim has a TTL. Another program wrote what is neither a claim nor done.
local function is_own(key, held)
  return held == 'done' or held == ARGV[2] or held:sub(1, 11) == 'claimed by ' and redis.call('PTTL', key) > 0
end
-- Returns the value of a key; false without a valid one.
local function valid_value(key, found, valid)
  if found and valid(key, found) or not found and redis.call('EXISTS', key) == 0 then
    return found
  end
  overwritten[#overwritten + 1] = key
  return false
end
local function is_millis(_, text)
  return #text <= 15 and text:match('^%d+$')
end

if ARGV[1] ~= 'acquire' then
  -- Another process may have taken over the claim, or have sent: that stays.
  local held = valid_value(KEYS[2], redis.call('MGET', KEYS[2])[1], is_own)
  if not held or held == ARGV[2] then
    redis.call('SET', KEYS[2], 'done', 'PX', ARGV[4])
  end
end
local found, state = redis.call('MGET', KEYS[3], KEYS[4], KEYS[1]), 'sent'
local rejected, delivered = '', valid_value(KEYS[1], found[3], is_millis) or ''
if ARGV[1] ~= 'acquire' then
  redis.call('SET', KEYS[1], now)
  delivered = now
end
if ARGV[1] ~= 'record' then
  -- The lease is the TTL of the key, so an expired claim does not exist. An
  -- overwritten key proves nothing: a notification sent twice is better than a lost one.
  local held = valid_value(KEYS[3], found[1], is_own)
  if held and held ~= 'done' and held ~= ARGV[2] then
    state = 'leased'
  elseif not held or held == ARGV[2] then
    state = 'acquired'
    rejected = valid_value(KEYS[4], found[2], is_millis) or ''
    redis.call('SET', KEYS[3], ARGV[2], 'PX', ARGV[3])
  end
end
return {state, now, rejected, delivered, unpack(overwritten)}
