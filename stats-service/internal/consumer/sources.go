package consumer

import (
	"context"
	"time"

	"example.com/todo/platform/kafka"
	"example.com/todo/platform/kafka/reader"
)

// Scan calls visit with the records of a topic; see reader.Scan.
type Scan func(ctx context.Context, from map[int32]int64, visit visitor) (map[int32]int64, error)

type visitor = func(ctx context.Context, batch []kafka.Record) error

// Sources are the inputs of a rebuild.
type Sources struct {
	Log, DeadLetters Scan
	OldestOffsets    func(ctx context.Context) (map[int32]int64, error)
	LogEndOffsets    func(ctx context.Context) (map[int32]int64, error)
	Matches          func(ctx context.Context, incarnation string) (bool, error) // see kafka.PartitionLog.Matches
	Group            string                                                      // the service's: its dead letters were not counted, its replays were
	AcceptGap        bool                                                        // count although the log's first records were deleted
}

// NewSources returns the sources of a rebuild of the topic, whose records the group counts.
// Log fails with ErrTopicReplaced when the topic was created again since.
func NewSources(ctx context.Context, cfg kafka.Config, topic, dlq, group string) (Sources, error) {
	id, err := reader.TopicID(ctx, cfg, topic)
	if err != nil {
		return Sources{}, err
	}
	scan := func(topic string) Scan {
		return func(ctx context.Context, from map[int32]int64, visit visitor) (map[int32]int64, error) {
			return reader.Scan(ctx, cfg, topic, from, visit)
		}
	}
	return Sources{
		Log: func(ctx context.Context, from map[int32]int64, visit visitor) (map[int32]int64, error) {
			next, err := scan(topic)(ctx, from, visit)
			if err != nil {
				return next, err
			}
			now, err := reader.TopicID(ctx, cfg, topic)
			if err == nil && id != "" && now != "" && now != id {
				err = ErrTopicReplaced
			}
			return next, err
		},
		DeadLetters: scan(dlq),
		OldestOffsets: func(ctx context.Context) (map[int32]int64, error) {
			return reader.OffsetsSince(ctx, cfg, topic, time.Time{})
		},
		LogEndOffsets: func(ctx context.Context) (map[int32]int64, error) { return reader.LogEndOffsets(ctx, cfg, topic) },
		Matches:       kafka.PartitionLog{TopicID: id}.Matches,
		Group:         group,
	}, nil
}
