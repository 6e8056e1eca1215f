// Package stats implements exactly-once counting over stored offsets: an event counts
// on its UTC day, and once for each dedup key. It knows no transport, no log and no
// database.
//
// The Store keeps the next offset of each partition beside the counters. One step
// compares it, counts, and advances it:
//
//	   ┌───────── no: ErrOffsetMismatch, nothing changes ─────────┐
//	   v                                                          │
//	Resume ─> from ─> Apply(from, next) ─> stored offset == from? ┤
//	            ^                                                 │
//	            └──────── yes: counted, next stored, from = next ─┘
//
// The comparison detects a redelivery, a frozen replica that resumes after a takeover,
// and a store that was emptied.
package stats
