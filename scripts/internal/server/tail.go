package server

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/IBM/sarama"
	"golang.org/x/sync/errgroup"

	"example.com/todo/platform/printable"
)

// maxValueLength in characters: how much of a record's value is shown. An event contains its task's title
// twice and fits even with the longest title.
const maxValueLength = 4096

// TailTopic calls show for each record of a topic from the oldest on, until ctx ends or show returns an error.
// It never calls show concurrently, and shows the records of a partition in order.
func (k KafkaClient) TailTopic(ctx context.Context, topic string, show func(record string) error) error {
	group, ctx := errgroup.WithContext(ctx)
	cfg, err := k.config(ctx)
	if err != nil {
		return err
	}
	consumer, err := sarama.NewConsumer([]string{k.Addr}, cfg)
	if err != nil {
		return fmt.Errorf("reach Kafka on %s: %w", k.Addr, err)
	}
	defer consumer.Close()
	partitions, err := consumer.Partitions(topic)
	if err != nil {
		return fmt.Errorf("topic %s: %w", topic, err)
	}
	var mu sync.Mutex
	for _, partition := range partitions {
		group.Go(func() error {
			records, err := consumer.ConsumePartition(topic, partition, sarama.OffsetOldest)
			if err != nil {
				return fmt.Errorf("topic %s, partition %d: %w", topic, partition, err)
			}
			context.AfterFunc(ctx, records.AsyncClose)
			for message := range records.Messages() {
				mu.Lock()
				if ctx.Err() == nil {
					err = show(formatRecord(message))
				}
				mu.Unlock()
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// formatRecord returns a line with partition/offset, key and headers, and a line with the value. Both are
// bounded and printable.
func formatRecord(m *sarama.ConsumerMessage) string {
	var headers []string
	for _, h := range m.Headers {
		headers = append(headers, fmt.Sprintf("%s=%s", h.Key, h.Value))
	}
	return fmt.Sprintf("%d/%d %s %s\n%s\n", m.Partition, m.Offset, printable.Excerpt(string(m.Key)),
		printable.Excerpt(strings.Join(headers, ",")), printable.Escape(printable.Truncate(string(m.Value), maxValueLength)))
}
