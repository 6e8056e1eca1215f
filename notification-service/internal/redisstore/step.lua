-- A partition's step from one notification to the next: marks the one as done
-- and claims the other, or does one of the two.
-- KEYS[1] when any was last done; KEYS[2] mark that is done; KEYS[3] mark to
-- claim; KEYS[4] since when that one is refused.
-- ARGV[1] 'claim', 'done' or 'both'; ARGV[2] our claim, which names its owner;
-- ARGV[3] lease in ms; ARGV[4] how long a done mark is kept, in ms.
local time = redis.call('TIME')
local now = string.format('%d%03d', time[1], math.floor(time[2] / 1000))

if ARGV[1] ~= 'claim' then
  -- A claim taken over, or done by whoever took it over, is left as it is.
  -- What has another type was overwritten by somebody else.
  local held = redis.call('TYPE', KEYS[2]).ok == 'string' and redis.call('GET', KEYS[2])
  if not held or held == ARGV[2] then
    redis.call('SET', KEYS[2], 'done', 'PX', ARGV[4])
  end
  redis.call('SET', KEYS[1], now)
  if ARGV[1] == 'done' then
    return {}
  end
end

-- The lease is the key's time to live, so a claim that ran out is not there.
local found = redis.call('MGET', KEYS[3], KEYS[4], KEYS[1])
local held = found[1]
if held == 'done' then
  return {'done'}
end
-- A claim has a lifetime. Anything else was written by somebody else, and says
-- nothing about the notification: sent twice is better than lost.
if held and held ~= ARGV[2] and held:sub(1, 11) == 'claimed by ' and redis.call('PTTL', KEYS[3]) > 0 then
  return {'busy'}
end
redis.call('SET', KEYS[3], ARGV[2], 'PX', ARGV[3])
return {'mine', now, found[2] or '', found[3] or ''}
