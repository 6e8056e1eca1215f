package kafka

import (
	"context"
	"fmt"
)

// PartitionLog describes a partition's log at the beginning of a session.
type PartitionLog struct {
	Oldest, End int64  // the first offset, and the last stable offset
	TopicID     string // "" if the broker gives topics no id

	// HasRecord reports whether the record at the offset has that short fingerprint.
	// The error is about Kafka. It may be nil.
	HasRecord func(ctx context.Context, offset int64, fingerprint string) (bool, error)
}

// Incarnation names the log by its topic's id; it is "" if the broker gives none.
func (l PartitionLog) Incarnation() string { return incarnationOf(l.TopicID) }

// Matches reports whether an incarnation, as it was stored beside an offset, is this
// log's. If not, the offset belongs to an earlier topic of the same name. An
// incarnation that says nothing matches: "" is what earlier versions stored. The
// error is about Kafka: where the broker gives no ids, a record is looked up.
func (l PartitionLog) Matches(ctx context.Context, incarnation string) (bool, error) {
	var id, fingerprint string
	var offset int64
	if _, err := fmt.Sscanf(incarnation, "id %s", &id); err == nil {
		return id == l.TopicID || l.TopicID == "", nil
	}
	if _, err := fmt.Sscanf(incarnation, "record %d %s", &offset, &fingerprint); err == nil && l.HasRecord != nil {
		return l.HasRecord(ctx, offset, fingerprint)
	}
	return true, nil
}

func incarnationOf(topicID string) string {
	if topicID == "" {
		return ""
	}
	return "id " + topicID
}
