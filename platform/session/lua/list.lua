-- Lists the sessions of a user, newest first, and removes those that ended.
--
-- KEYS  1 the user's sessions, a sorted set of token hashes by creation
-- ARGV  1 prefix of sessions' keys
-- Returns for each {id, user id, role, created at, last seen, expires at}. Times are
--         milliseconds on the clock of Redis.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local sessions = {}
for _, hash in ipairs(redis.call('ZREVRANGE', KEYS[1], 0, -1)) do
  local key = ARGV[1] .. hash
  local session, ttl = redis.pcall('HMGET', key, 'id', 'user_id', 'role', 'created_at', 'last_seen'), redis.call('PTTL', key)
  local created, seen = tonumber(session[4]), tonumber(session[5])
  if session.err or not created or not seen then
    redis.call('ZREM', KEYS[1], hash)
  else
    sessions[#sessions + 1] = {session[1], session[2], session[3], created, seen, now + ttl}
  end
end
return sessions
