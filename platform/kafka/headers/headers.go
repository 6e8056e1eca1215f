// Package headers names the record headers of the dead-letter protocol: what a
// consumer group writes on a dead letter, and what addresses a replay to one group.
package headers

// Headers that a dead letter has, after those of the original record.
const (
	Error             = "error"
	OriginalTopic     = "original-topic"
	OriginalPartition = "original-partition"
	OriginalOffset    = "original-offset"
	ConsumerGroup     = "consumer-group"
	Attempts          = "attempts"
	FailedAt          = "failed-at" // RFC 3339, UTC
)

// Headers of a dead letter without the original's contents.
const (
	OriginalSize       = "original-size"        // bytes
	OriginalLastOffset = "original-last-offset" // of a batch: the offset of its last record
)

// ReplayGroup names the only group that handles a replayed record.
const ReplayGroup = "replay-group"
