package consumer

import (
	"context"
	"errors"
	"fmt"

	"github.com/IBM/sarama"

	"example.com/todo/platform/kafka"
	"example.com/todo/platform/kafka/internal/client"
	"example.com/todo/platform/kafka/internal/fetch"
)

// LogEndOffsets requests each partition's last stable offset: a reader gets no record
// from there on, because the next one is not written yet or its transaction is open. It
// works before and during Run. The error joins ctx's, if that has ended.
func (g *Group) LogEndOffsets(ctx context.Context) (map[int32]int64, error) {
	ends := make(map[int32]int64)
	err := g.request(ctx, func(c *client.Client) error {
		partitions, err := c.Partitions(g.cfg.Topic)
		if err != nil {
			return err
		}
		for _, partition := range partitions {
			if ends[partition], err = c.GetOffset(g.cfg.Topic, partition, sarama.OffsetNewest); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("ask for the ends of topic %q: %w", g.cfg.Topic, err)
	}
	return ends, nil
}

// currentTopicID requests the id that the topic has now.
func (g *Group) currentTopicID(ctx context.Context) (id string, err error) {
	err = g.request(ctx, func(c *client.Client) error {
		id, err = c.TopicID(g.cfg.Topic)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("ask for the id of topic %q: %w", g.cfg.Topic, err)
	}
	return id, nil
}

// hasRecord is kafka.PartitionLog.HasRecord for a partition. It is true as well if the
// log has deleted the record.
func (g *Group) hasRecord(ctx context.Context, partition int32, offset int64, fingerprint string) (has bool, err error) {
	err = g.request(ctx, func(c *client.Client) error {
		has, err = fetch.HasRecord(c, kafka.TopicPartition{Topic: g.cfg.Topic, Partition: partition}, offset, fingerprint)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("look for the record at %d of partition %d of topic %q: %w", offset, partition, g.cfg.Topic, err)
	}
	return has, nil
}

func (g *Group) request(ctx context.Context, fn func(*client.Client) error) error {
	err := g.requests.Do(ctx, fn)
	if err != nil && ctx.Err() != nil && !errors.Is(err, ctx.Err()) {
		err = errors.Join(ctx.Err(), err)
	}
	return err
}
