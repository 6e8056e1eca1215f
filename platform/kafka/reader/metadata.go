package reader

import (
	"context"
	"errors"
	"fmt"

	"github.com/IBM/sarama"

	"example.com/todo/platform/kafka"
	"example.com/todo/platform/kafka/internal/client"
)

// CheckTopic returns nil if the topic has cfg.Partitions partitions; with 0 it only has
// to exist. Otherwise the error is a *kafka.TopicError. It is another error if Kafka
// did not respond before ctx ended. CheckTopic does not retry.
func CheckTopic(ctx context.Context, cfg kafka.Config, topic string) error {
	c := client.NewLazy(cfg)
	defer c.Close()
	err := c.Do(ctx, func(c *client.Client) error { return c.CheckTopic(topic, cfg.Partitions) })
	if ctx.Err() != nil {
		err = errors.Join(ctx.Err(), err)
	}
	if err != nil {
		return fmt.Errorf("check topic %q: %w", topic, err)
	}
	return nil
}

// TopicID returns the id that Kafka gave the topic when it was created, or "" if the
// broker gives none. A topic that is deleted and created again has another id. The
// error says that Kafka did not respond for eight seconds.
func TopicID(ctx context.Context, cfg kafka.Config, topic string) (id string, err error) {
	r := newRequester(cfg)
	defer r.close()
	err = r.request(ctx, func(c *client.Client) error {
		id, err = c.TopicID(topic)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("ask for the id of topic %q: %w", topic, err)
	}
	return id, nil
}

// HasGroup reports whether Kafka knows a consumer group of that name: one that has
// members or offsets. The error says that Kafka did not respond for eight seconds.
func HasGroup(ctx context.Context, cfg kafka.Config, group string) (bool, error) {
	r := newRequester(cfg)
	defer r.close()
	known := false
	err := r.request(ctx, func(c *client.Client) error {
		coordinator, err := c.Coordinator(group)
		if err != nil {
			return err
		}
		response, err := coordinator.DescribeGroups(&sarama.DescribeGroupsRequest{Version: 5, Groups: []string{group}})
		if err != nil {
			return err
		}
		if len(response.Groups) != 1 {
			return sarama.ErrIncompleteResponse
		}
		described := response.Groups[0]
		if described.Err != sarama.ErrNoError {
			_ = c.RefreshCoordinator(group)
			return described.Err
		}
		known = described.State != "Dead"
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("look for consumer group %q: %w", group, err)
	}
	return known, nil
}
