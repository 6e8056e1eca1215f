-- Decides on one request by a log of the requests that passed: at most so many
-- in any window of the length. A refused request leaves no trace.
--
-- KEYS  1 the client's log, a sorted set: one member a request, scored by time
-- ARGV  1 requests in a window  2 window, microseconds  3 a member never used before
-- Returns {1 passed or 0 refused, requests left, microseconds until the oldest
--          request leaves the window, microseconds until a request could pass}.
-- The clock is Redis' own, in microseconds: every replica shares it.
local log, member = KEYS[1], ARGV[3]
local limit, window = tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

-- A request exactly one window old has left it. One that is a window ahead was
-- logged before the clock was set back.
local trimmed = redis.pcall('ZREMRANGEBYSCORE', log, '-inf', now - window)
if type(trimmed) == 'table' then
  redis.call('DEL', log) -- another type: not ours
end
redis.call('ZREMRANGEBYSCORE', log, now + window, '+inf')

local count = redis.call('ZCARD', log)
local passed = 0
if count < limit then
  redis.call('ZADD', log, now, member)
  redis.call('PEXPIRE', log, math.ceil(window / 1000) + 1)
  count = count + 1
  passed = 1
end

local function leaves(rank)
  local entry = redis.call('ZRANGE', log, rank, rank, 'WITHSCORES')
  return entry[2] + window - now
end

local wait = 0
if passed == 0 then
  wait = leaves(count - limit) -- the limit may have been lowered since
end
return {passed, math.max(limit - count, 0), leaves(0), wait}
