// Package redisstore keeps in Redis what todo-service can work without: a cache of the
// unfiltered list, a sliding-window rate limiter and the live feed. If Redis is down,
// slow or holds corrupt data, no request fails: lists come from the database, requests
// pass uncounted, and watchers read the event log.
//
// The cache and the limiter send their scripts through an AutoPipeline, which has a
// circuit breaker. The keys and the channel begin with the configured prefix. On a
// Redis Cluster the prefix holds a hash tag, such as "{todo}:", so that the keys of one
// script are on one node.
//
// The list cache is cache-aside with a generation token. A reader stores a list only
// under the generation that it read before its query, and every write replaces the
// generation:
//
//	reader                         Redis                          writer
//	  │ lookup ───────────────────>│ no list, generation g1          │
//	  │ query PostgreSQL: old list │                                 │ commit
//	  │                            │ <────────────────── invalidate  │
//	  │                            │ list deleted, generation g2 ──> │ respond
//	  │ fill(g1, old list) ───────>│ g1 is not g2: refused           │
//	  │ respond                    │                                 │
//	  │                            │                                 │
//	  │ lookup ───────────────────>│ no list, generation g2          │
//	  │ query PostgreSQL: new list │                                 │
//	  │ fill(g2, new list) ───────>│ stored                          │
//	  │ lookup ───────────────────>│ the list, or "unchanged" if it is the local copy
//
// A writer may die after its commit, or get no reply from Redis. So each invalidation
// also confirms its events: its script stores their ids. The relay's live cursor calls
// Heal with the ids of every event, which invalidates unless all are confirmed.
package redisstore
