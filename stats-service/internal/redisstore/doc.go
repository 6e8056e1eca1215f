// Package redisstore implements stats.Store in Redis: counters with stored offsets and
// dedup keys (Store), and shadow counters that a rebuild swaps in atomically (Shadow).
package redisstore
