-- Checks a session, and moves its expiry.
--
-- KEYS  1 the session, a hash
-- ARGV  1 lifetime without use  2 lifetime in all  3 time between two writes of last_seen;
--       all in milliseconds
-- Returns {id, user id, role, created at, last seen, expires at}, or nil without a
--         session. Times are milliseconds on the clock of Redis.
local key, idle, max_age, interval = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local session = redis.pcall('HMGET', key, 'id', 'user_id', 'role', 'created_at', 'last_seen')
local created, seen = tonumber(session[4]), tonumber(session[5])
if session.err or not created or not seen then
  return false -- none, or another program overwrote it
end
-- A check seldom writes: a long time without use counts from last_seen, which is exact enough.
local writes = now - seen >= interval
local slides = writes or idle < 10 * interval
local left = math.min((slides and now or seen) + idle, created + max_age) - now
if left <= 0 then
  redis.call('DEL', key)
  return false
end
if slides then
  -- Before HSET, which a Redis whose memory is full refuses as the first write of a script.
  redis.call('PEXPIRE', key, left)
end
if writes then
  redis.call('HSET', key, 'last_seen', now)
  seen = now
end
return {session[1], session[2], session[3], created, seen, now + left}
