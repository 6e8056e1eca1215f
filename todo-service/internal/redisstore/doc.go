// Package redisstore keeps in Redis what todo-service can work without: a cache of the
// unfiltered list, a sliding-window rate limiter and the live feed. If Redis is down,
// slow or holds corrupt data, no request fails: lists come from the database, requests
// pass uncounted, and watchers read the event log.
//
// The cache and the limiter send their scripts through an AutoPipeline, which has a
// circuit breaker. With sign-in, an Authenticator adds the check of the session to the same
// round trip. The check fails closed: without an answer no signed-in request passes. The keys and the channel begin with the configured prefix. On a
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
//
// Each user has a list. It differs from the list without an owner in three points, because
// users are many:
//
//   - An invalidation deletes the generation, and the next lookup makes a new one, which
//     expires after an hour. A list without its generation is not served.
//
//   - A Redis that lost its scripts may have come back with lists older than confirmed
//     invalidations. A generation begins with the epoch of all users' lists: deleting that
//     one key makes every user's list unusable.
//
//   - The confirmed events of all users are one set. If one event of a batch is not
//     confirmed, the lists of all users of that batch are invalidated.
//
//     <prefix>tasks:all                     list without an owner
//     <prefix>tasks:all:beside, :generation, :confirmed
//     <prefix>tasks:all:<user id>           list of a user
//     <prefix>tasks:all:<user id>:beside, :generation
//     <prefix>tasks:all:users:epoch, :users:confirmed
//     <prefix>ratelimit:<address>, <prefix>ratelimit:user:<user id>
package redisstore
