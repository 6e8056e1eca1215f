-- Stores a new session. The oldest sessions of the user end beyond the limit.
--
-- KEYS  1 the user's sessions, a sorted set of token hashes by creation  2 the new session
-- ARGV  1 token hash  2 id  3 user id  4 role  5 lifetime of the session, milliseconds
--       6 lifetime of the sorted set, milliseconds  7 limit  8 prefix of sessions' keys
-- Returns {created at, expires at}, milliseconds on the clock of Redis.
local list, limit, prefix = KEYS[1], tonumber(ARGV[7]), ARGV[8]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

if redis.call('TYPE', list).ok ~= 'zset' then
  redis.call('DEL', list) -- another program overwrote it
end
for _, hash in ipairs(redis.call('ZRANGE', list, 0, -1)) do
  if redis.call('EXISTS', prefix .. hash) == 0 then
    redis.call('ZREM', list, hash)
  end
end
for _, hash in ipairs(redis.call('ZRANGE', list, 0, -limit)) do
  redis.call('DEL', prefix .. hash)
  redis.call('ZREM', list, hash)
end

-- The list first: a script that a full Redis interrupts leaves no session that no list has.
redis.call('ZADD', list, now, ARGV[1])
redis.call('PEXPIRE', list, ARGV[6])
redis.call('HSET', KEYS[2], 'id', ARGV[2], 'user_id', ARGV[3], 'role', ARGV[4], 'created_at', now, 'last_seen', now)
redis.call('PEXPIRE', KEYS[2], ARGV[5])
return {now, now + ARGV[5]}
