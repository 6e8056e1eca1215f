-- Counts an attempt in sliding windows, unless one of them is full: at most a limit of
-- attempts in any window. A rejected attempt is not counted.
--
-- KEYS  the windows' logs, sorted sets: one member for each attempt, scored by time
--       then, optional, a key: while it exists, the last window does not count
-- ARGV  1 the attempt's id, never used before
--       then for each log its limit and its window, microseconds
-- Returns the microseconds until an attempt could be counted; 0 when this one is.
-- The clock is that of Redis, in microseconds: every replica shares it.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local counted = (#ARGV - 1) / 2
if KEYS[counted + 1] and redis.call('EXISTS', KEYS[counted + 1]) == 1 then
  counted = counted - 1
end

local wait = 0
for i = 1, counted do
  local log, limit, window = KEYS[i], tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1])
  if redis.call('TYPE', log).ok ~= 'zset' then
    redis.call('DEL', log) -- another type: not ours
  end
  redis.call('ZREMRANGEBYSCORE', log, '-inf', now - window)
  redis.call('ZREMRANGEBYSCORE', log, now + window, '+inf') -- logged before the clock was set back
  local count = redis.call('ZCARD', log)
  if count >= limit then
    local entry = redis.call('ZRANGE', log, count - limit, count - limit, 'WITHSCORES')
    wait = math.max(wait, entry[2] + window - now)
  end
end
if wait > 0 then
  return wait
end
for i = 1, counted do
  redis.call('ZADD', KEYS[i], now, ARGV[1])
  redis.call('PEXPIRE', KEYS[i], math.ceil(ARGV[2 * i + 1] / 1000) + 1)
end
return 0
