package reader

import (
	"context"
	"fmt"
	"time"

	"github.com/IBM/sarama"

	"example.com/todo/platform/kafka"
	"example.com/todo/platform/kafka/internal/client"
)

// CheckTopic returns nil if the topic has cfg.Partitions partitions; with 0 it only has
// to exist. Otherwise the error is a *kafka.TopicError. It is another error if Kafka
// did not respond before ctx ended. CheckTopic does not retry.
func CheckTopic(ctx context.Context, cfg kafka.Config, topic string) error {
	c := client.NewConnector(cfg).NewLazy()
	defer c.Close()
	err := c.Do(ctx, func(c *client.Client) error { return c.CheckTopic(topic, cfg.Partitions) })
	if err != nil {
		return fmt.Errorf("check topic %q: %w", topic, client.Explain(err, cfg))
	}
	return nil
}

// TopicID returns the id that Kafka gave the topic when it was created, or "" if the
// broker gives none. A topic that is deleted and created again has another id. The
// error says that Kafka did not respond for eight seconds.
func TopicID(ctx context.Context, cfg kafka.Config, topic string) (string, error) {
	return requestOnce(ctx, cfg, fmt.Sprintf("ask for the id of topic %q", topic), func(c *client.Client) (string, error) {
		return c.TopicID(topic)
	})
}

// HasGroup reports whether Kafka knows a consumer group of that name: one that has
// members or offsets. The error says that Kafka did not respond for eight seconds.
func HasGroup(ctx context.Context, cfg kafka.Config, group string) (bool, error) {
	return requestOnce(ctx, cfg, fmt.Sprintf("look for consumer group %q", group), func(c *client.Client) (bool, error) {
		coordinator, err := c.Coordinator(group)
		if err != nil {
			return false, err
		}
		response, err := coordinator.DescribeGroups(&sarama.DescribeGroupsRequest{Version: 5, Groups: []string{group}})
		if err != nil {
			return false, err
		}
		if len(response.Groups) != 1 {
			return false, sarama.ErrIncompleteResponse
		}
		if described := response.Groups[0]; described.Err != sarama.ErrNoError {
			return false, described.Err
		}
		return response.Groups[0].State != "Dead", nil
	})
}

// LogEndOffsets returns each partition's last stable offset, below which every record
// is committed or aborted. The errors are those of OffsetsSince.
func LogEndOffsets(ctx context.Context, cfg kafka.Config, topic string) (map[int32]int64, error) {
	what := fmt.Sprintf("find the ends of topic %q", topic)
	return requestOnce(ctx, cfg, what, func(c *client.Client) (map[int32]int64, error) {
		if err := c.CheckTopic(topic, 0); err != nil {
			return nil, err
		}
		return c.Offsets(topic, sarama.OffsetNewest)
	})
}

// OffsetsSince returns for each partition an offset from which to Scan: every record
// below it is older than since. For the zero time that is the log's start. The error
// is a *kafka.TopicError if the topic does not exist, or says that Kafka did not
// respond for eight seconds.
func OffsetsSince(ctx context.Context, cfg kafka.Config, topic string, since time.Time) (map[int32]int64, error) {
	what := fmt.Sprintf("find the time %s in topic %q", since.UTC().Format(time.RFC3339), topic)
	return requestOnce(ctx, cfg, what, func(c *client.Client) (map[int32]int64, error) {
		if err := c.CheckTopic(topic, 0); err != nil {
			return nil, err
		}
		if since.IsZero() {
			return c.Offsets(topic, sarama.OffsetOldest)
		}
		// The ends come first: a record written between the two requests must not lie below them.
		offsets, err := c.Offsets(topic, sarama.OffsetNewest)
		if err != nil {
			return nil, err
		}
		found, err := c.Offsets(topic, since.UnixMilli())
		for partition, offset := range found {
			if offset >= 0 {
				offsets[partition] = min(offsets[partition], offset)
			}
		}
		return offsets, err
	})
}
