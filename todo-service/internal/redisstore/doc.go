// Package redisstore keeps in Redis what todo-service can do without: the list
// cache, the rate limiter's log and the live feed. Redis down, slow or holding
// rubbish never fails a request: lists come from the database, requests pass
// uncounted, and watchers read the log.
//
// The keys and the channel carry the configured prefix. On a Redis Cluster the
// prefix holds a hash tag, such as "{todo}:", so that the keys of one script
// live together.
package redisstore
