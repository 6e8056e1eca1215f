// Package consumer is the Kafka handler of stats-service: it decodes batches of records
// to events and hands them to the domain with the partition's expected offset. It also
// contains the rebuild job and the cache of log-end offsets.
//
// A rebuild counts shadow counters beside the live ones and swaps them in:
//
//	           more remain
//	            ┌──────┐
//	            v      │
//	start ──> round ───┴──> pause ──> last round ──> swap ──> the shadow counters are live
//	            ^  at most 2,000                      │
//	            └───── a live offset is ahead ────────┘
//
// A round counts up to the live offsets at its start. The live counters are paused for
// the last round, 5 s at most. The swap happens only if the rebuild still holds its lock,
// the shadow counters add up, and no live offset is ahead.
package consumer
