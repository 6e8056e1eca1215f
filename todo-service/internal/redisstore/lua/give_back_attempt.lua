-- Takes an attempt out of the windows that counted it.
--
-- KEYS  the windows' logs, then a key that is stored if the attempt succeeded
-- ARGV  1 the attempt's id  2 for how long that key exists, milliseconds; 0 if the attempt
--       did not succeed
-- Returns 1.
for i = 1, #KEYS - 1 do
  if redis.call('TYPE', KEYS[i]).ok == 'zset' then
    redis.call('ZREM', KEYS[i], ARGV[1])
  end
end
if tonumber(ARGV[2]) > 0 then
  redis.call('SET', KEYS[#KEYS], '', 'PX', ARGV[2])
end
return 1
