-- Reads a session, without a write: EVAL_RO runs it for a user of Redis that may only read. Redis before 7.0 has only EVAL.
--
-- KEYS  1 the session, a hash
-- ARGV  1 lifetime in all, in milliseconds
-- Returns {id, user id, role, created at, last seen, expires at}, or nil without a
--         session. Times are milliseconds on the clock of Redis.
local key, max_age = KEYS[1], tonumber(ARGV[1])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local session = redis.pcall('HMGET', key, 'id', 'user_id', 'role', 'created_at', 'last_seen')
local created, seen = tonumber(session[4]), tonumber(session[5])
if session.err or not created or not seen or now >= created + max_age then
  return false -- none, or another program overwrote it, or it is too old
end
local left = math.min(redis.call('PTTL', key), created + max_age - now)
return {session[1], session[2], session[3], created, seen, now + left}
