// Package quarantine finds the record that crashes its process. For each partition a
// State is kept outside the process: which records the handler is working on, and what
// is known against each of them. It is written once per batch.
//
// A partition's records move between these states:
//
//	               Begin(batch)                     the next Begin, or Clear
//	pending ──────────────────────> in flight ───────────────────> handled
//	                                    │
//	                                    │ the process crashes or freezes, and the next
//	                                    │ owner calls Acquire; or the handler panics
//	                                    v
//	                                suspect: handled one at a time
//	                                    │
//	                                    │ Begin(one record)
//	                                    v
//	     ┌────────────────────> in flight alone ─── handled or returned ──> crashes forgotten
//	     │                              │
//	     │ Begin, while no other        │ the process crashes
//	     │ call of the handler runs     v
//	     └── fewer than MaxCrashes ── one crash more ── MaxCrashes ──> dead-lettered by the consumer
//
// As a record with a crash runs alone in its process, it collects no crashes that other
// records cause. A record that the handler returned, with whatever error, does not crash
// its process. So neither outages nor restarts while a partition is held count. The only
// false positive is five kills in a row, each in the moment in which that record alone is
// in flight.
//
// Every update is a compare-and-swap against the last value that the tracker wrote or
// read. A process that was frozen, and resumes after another member acquired the
// partition, fails its next update with ErrLostOwnership and changes nothing. The freeze
// itself counts like a crash.
package quarantine
