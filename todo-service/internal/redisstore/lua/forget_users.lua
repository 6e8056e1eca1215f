-- Invalidates the lists of all users: the next lookup begins a new epoch.
--
-- KEYS  1 the epoch, which all users' lists share
-- Returns 1.
redis.call('DEL', KEYS[1])
return 1
