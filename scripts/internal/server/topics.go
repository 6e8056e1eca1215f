package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/IBM/sarama"

	"example.com/todo/contracts/event"
	"example.com/todo/platform/retry"
)

const (
	topicBytes = 1 << 20
	// dlqBytes adds room for a dead letter's headers to a record of full size.
	dlqBytes = topicBytes + 64<<10
	// createRetryInterval separates attempts to create a topic while Kafka still deletes the old one.
	createRetryInterval = 100 * time.Millisecond
)

// Topic describes a topic of the services.
type Topic struct {
	Name       string
	Partitions int
	MaxBytes   int // of a batch of records
}

// ServiceTopics returns the services' topics: the events, and the dead letters.
func ServiceTopics(partitions int) []Topic {
	return []Topic{
		{Name: event.Topic, Partitions: partitions, MaxBytes: topicBytes},
		{Name: event.DLQTopic, Partitions: partitions, MaxBytes: dlqBytes},
	}
}

// EnsureTopics creates the missing topics, without a retention limit. An existing topic with another number
// of partitions is an error: the key of an old record would map to another partition.
func (k KafkaClient) EnsureTopics(ctx context.Context, topics ...Topic) error {
	return k.withAdmin(ctx, func(admin sarama.ClusterAdmin) error {
		for _, t := range topics {
			err := admin.CreateTopic(t.Name, t.detail(), false)
			if errors.Is(err, sarama.ErrTopicAlreadyExists) {
				err = t.checkPartitions(admin)
			}
			if err != nil {
				return fmt.Errorf("topic %s: %w", t.Name, err)
			}
		}
		return nil
	})
}

// ReplaceTopic deletes a topic and creates it again.
func (k KafkaClient) ReplaceTopic(ctx context.Context, t Topic) error {
	return k.withAdmin(ctx, func(admin sarama.ClusterAdmin) error {
		if err := admin.DeleteTopic(t.Name); err != nil {
			return fmt.Errorf("delete topic %s: %w", t.Name, err)
		}
		// Until every broker knows of the deletion, creation fails.
		err := admin.CreateTopic(t.Name, t.detail(), false)
		for err != nil && retry.Wait(ctx, createRetryInterval) {
			err = admin.CreateTopic(t.Name, t.detail(), false)
		}
		if err != nil {
			return fmt.Errorf("create topic %s again: %w: %w", t.Name, context.Cause(ctx), err)
		}
		return nil
	})
}

func (t Topic) detail() *sarama.TopicDetail {
	forever, limit := "-1", fmt.Sprint(t.MaxBytes)
	return &sarama.TopicDetail{
		NumPartitions:     int32(t.Partitions),
		ReplicationFactor: 1,
		ConfigEntries:     map[string]*string{"retention.ms": &forever, "max.message.bytes": &limit},
	}
}

func (t Topic) checkPartitions(admin sarama.ClusterAdmin) error {
	found, err := admin.DescribeTopics([]string{t.Name})
	if err != nil {
		return err
	}
	if n := len(found[0].Partitions); n != t.Partitions {
		return fmt.Errorf("has %d partitions and KAFKA_PARTITIONS is %d: the number of an existing topic stays", n, t.Partitions)
	}
	return nil
}
