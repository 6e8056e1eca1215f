// Package consumer is the Kafka handler of stats-service: it decodes batches of records
// to events and hands them to the domain with the partition's expected offset. It also
// contains the rebuild job and the cache of log-end offsets.
//
// A rebuild counts shadow counters beside the live ones and swaps them in:
//
//	live counters    ──count──────────────────────── paused ──┐ count again
//	                                                 (≤ 5 s)  │  ^
//	Rebuild          Round 1 ─> Round 2 ─> … ─> Pause, last Round ─> Swap
//	shadow counters  ──count up to the live offsets───────────┘
//
// A round ends at the live offsets that were read when it started. When at most 2,000
// records remain, the live counters are paused for the last round. The swap only happens
// if the lock is still held, the shadow counters add up, and no live offset is ahead;
// if one is, another round follows.
package consumer
