package server

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/IBM/sarama"
)

// Tail calls show for each record of a topic, from the oldest on, one at a time, until ctx ends. The
// records of a partition come in order.
func Tail(ctx context.Context, addr, topic string, show func(record string)) error {
	consumer, err := sarama.NewConsumer([]string{addr}, kafka{addr}.config(ctx))
	if err != nil {
		return fmt.Errorf("reach Kafka on %s: %w", addr, err)
	}
	defer func() { _ = consumer.Close() }()
	partitions, err := consumer.Partitions(topic)
	if err != nil {
		return fmt.Errorf("topic %s: %w", topic, err)
	}
	var one sync.Mutex
	var all sync.WaitGroup
	for _, partition := range partitions {
		records, err := consumer.ConsumePartition(topic, partition, sarama.OffsetOldest)
		if err != nil {
			return fmt.Errorf("topic %s, partition %d: %w", topic, partition, err)
		}
		context.AfterFunc(ctx, records.AsyncClose)
		all.Go(func() {
			for message := range records.Messages() {
				one.Lock()
				show(text(message))
				one.Unlock()
			}
		})
	}
	all.Wait()
	return nil
}

// text is a record's place, key and headers on one line, and its value on the next.
func text(m *sarama.ConsumerMessage) string {
	var headers []string
	for _, h := range m.Headers {
		headers = append(headers, fmt.Sprintf("%s=%s", h.Key, h.Value))
	}
	return fmt.Sprintf("%d/%d %s %s\n%s\n", m.Partition, m.Offset, m.Key, strings.Join(headers, ","), m.Value)
}
