-- Sliding-window rate limiter over a log of the requests that passed: at most a limit
-- of them in any window. A rejected request is not logged.
--
-- KEYS  1 the client's log, a sorted set: one member for each request, scored by time
-- ARGV  1 limit  2 window, microseconds
--       3 a nonce that was never used before  4 how many requests to decide on
-- Returns {how many of them passed, requests left, microseconds until the oldest
--          request leaves the window, microseconds until a request could pass}.
-- The clock is that of Redis, in microseconds: every replica shares it.
local log, nonce, requests = KEYS[1], ARGV[3], tonumber(ARGV[4])
local limit, window = tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

-- A request that is exactly one window old has left the window. One that is a window
-- ahead was logged before the clock was set back.
local trimmed = redis.pcall('ZREMRANGEBYSCORE', log, '-inf', now - window)
if type(trimmed) == 'table' then
  redis.call('DEL', log) -- another type: not ours
end
redis.call('ZREMRANGEBYSCORE', log, now + window, '+inf')

local count = redis.call('ZCARD', log)
local passed = math.min(requests, math.max(limit - count, 0))
local batch = 1000 -- requests in one command: Lua passes no more than 8000 values
for first = 1, passed, batch do
  local entries = {}
  for i = first, math.min(first + batch - 1, passed) do
    entries[#entries + 1] = now
    entries[#entries + 1] = nonce .. ':' .. i
  end
  redis.call('ZADD', log, unpack(entries))
end
if passed > 0 then
  redis.call('PEXPIRE', log, math.ceil(window / 1000) + 1)
end
count = count + passed

local function leavesIn(rank)
  local entry = redis.call('ZRANGE', log, rank, rank, 'WITHSCORES')
  return entry[2] + window - now
end

local wait = 0
if passed < requests then
  wait = leavesIn(count - limit) -- the limit may have been lowered since
end
return {passed, math.max(limit - count, 0), leavesIn(0), wait}
