-- Takes an attempt out of the windows that counted it.
--
-- KEYS  the windows' logs
--       then, if the attempt succeeded, a key that is stored
-- ARGV  1 the attempt's id  2 for how long that key exists, milliseconds; 0 without it
-- Returns 1.
local logs, known = #KEYS, tonumber(ARGV[2])
if known > 0 then
  redis.call('SET', KEYS[logs], '', 'PX', known)
  logs = logs - 1
end
for i = 1, logs do
  if redis.call('TYPE', KEYS[i]).ok == 'zset' then
    redis.call('ZREM', KEYS[i], ARGV[1])
  end
end
return 1
