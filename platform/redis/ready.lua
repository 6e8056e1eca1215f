-- Executes each command of the consumers' scripts on one key.
-- KEYS[1] a key of its own. Returns 1. A full Redis rejects the first command.
local key = KEYS[1]
redis.call('SET', key, 1, 'EX', 60)
redis.call('GET', key)
redis.call('INCRBY', key, 1)
redis.call('EXPIRE', key, 60)
redis.call('PTTL', key)
redis.call('DEL', key)
redis.call('HSET', key, 'field', 1)
redis.call('HGET', key, 'field')
redis.call('HGETALL', key)
redis.call('HDEL', key, 'field')
redis.call('SADD', key, 1)
redis.call('SISMEMBER', key, 1)
redis.call('SMEMBERS', key)
redis.call('EXISTS', key)
redis.call('TYPE', key)
redis.call('DEL', key)
return 1
