-- Makes readers forget: no list read before now is served or stored after it.
--
-- KEYS  1 list  2 what is beside it  3 generation
-- ARGV  1 a new random generation
-- The removal comes first: a Redis that is out of memory would refuse a script
-- that begins with SET, and keep serving the old list.
redis.call('DEL', KEYS[1], KEYS[2])
redis.call('SET', KEYS[3], ARGV[1])
return 1
