package reader

import (
	"context"
	"fmt"
	"time"

	"github.com/IBM/sarama"

	"example.com/todo/platform/kafka"
	"example.com/todo/platform/kafka/internal/client"
)

// LogEndOffsets returns each partition's last stable offset, below which every record
// is committed or aborted. The errors are those of OffsetsSince.
func LogEndOffsets(ctx context.Context, cfg kafka.Config, topic string) (map[int32]int64, error) {
	offsets, err := offsetsOf(ctx, cfg, topic, func(c *client.Client, partition int32) (int64, error) {
		return c.GetOffset(topic, partition, sarama.OffsetNewest)
	})
	if err != nil {
		return nil, fmt.Errorf("find the ends of topic %q: %w", topic, err)
	}
	return offsets, nil
}

// OffsetsSince returns for each partition an offset from which to Scan: every record
// below it is older than since. For the zero time that is the log's start. The error
// is a *kafka.TopicError if the topic does not exist, or says that Kafka did not
// respond for eight seconds.
func OffsetsSince(ctx context.Context, cfg kafka.Config, topic string, since time.Time) (map[int32]int64, error) {
	offsets, err := offsetsOf(ctx, cfg, topic, func(c *client.Client, partition int32) (int64, error) {
		return offsetSince(c, topic, partition, since)
	})
	if err != nil {
		return nil, fmt.Errorf("find the time %s in topic %q: %w", since.UTC().Format(time.RFC3339), topic, err)
	}
	return offsets, nil
}

func offsetsOf(ctx context.Context, cfg kafka.Config, topic string, of func(c *client.Client, partition int32) (int64, error)) (map[int32]int64, error) {
	r := newRequester(cfg)
	defer r.close()
	offsets := make(map[int32]int64)
	err := r.request(ctx, func(c *client.Client) error {
		if err := c.CheckTopic(topic, 0); err != nil {
			return err
		}
		partitions, err := c.Partitions(topic)
		if err != nil {
			return err
		}
		for _, partition := range partitions {
			if offsets[partition], err = of(c, partition); err != nil {
				return err
			}
		}
		return nil
	})
	return offsets, err
}

func offsetSince(c *client.Client, topic string, partition int32, since time.Time) (int64, error) {
	if since.IsZero() {
		return c.GetOffset(topic, partition, sarama.OffsetOldest)
	}
	// The end comes first: a record written between the two requests must not lie below it.
	end, err := c.GetOffset(topic, partition, sarama.OffsetNewest)
	if err != nil {
		return 0, err
	}
	found, err := c.GetOffset(topic, partition, since.UnixMilli())
	if err != nil || found < 0 {
		return end, err
	}
	return min(end, found), nil
}
