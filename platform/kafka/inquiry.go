package kafka

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/IBM/sarama"
)

// inquiryPatience is how long a question may go without an answer.
const inquiryPatience = 8 * time.Second

// inquiry asks Kafka, over a connection of its own.
type inquiry struct {
	cfg  Config
	conn *Client // nil until needed and after trouble
}

// askOffsetStore puts a question to Kafka until it is answered, or no answer is to be expected.
func (i *inquiry) ask(ctx context.Context, question func() error) error {
	limited, cancel := context.WithTimeout(ctx, inquiryPatience)
	defer cancel()
	silence := fmt.Errorf("no answer from Kafka at %s within %v", strings.Join(i.cfg.Brokers, ","), inquiryPatience)
	var between pause
	for {
		err := i.once(limited, question)
		if err == nil || IsFatal(err) || !IsRetriable(err) {
			return err
		}
		if limited.Err() == nil { // otherwise it is about the connection that was cut
			silence = fmt.Errorf("no answer from Kafka at %s within %v: %w", strings.Join(i.cfg.Brokers, ","), inquiryPatience, err)
		}
		i.disconnect() // a new connection knows the leaders of now
		switch {
		case between.wait(limited) == nil:
		case ctx.Err() != nil:
			return errors.Join(ctx.Err(), err)
		default:
			return silence
		}
	}
}

func (i *inquiry) once(ctx context.Context, question func() error) error {
	if i.conn == nil || i.conn.sockets.isClosed() {
		conn, err := connect(i.cfg)
		if err != nil {
			return err
		}
		i.conn = conn
	}
	defer i.conn.abortOn(ctx)()
	return question()
}

func (i *inquiry) disconnect() {
	if i.conn != nil {
		i.conn.close()
		i.conn = nil
	}
}

// LogEndOffsets returns each partition's last stable offset, below which every record is
// committed or aborted. The errors are those of OffsetsSince.
func LogEndOffsets(ctx context.Context, cfg Config, topic string) (map[int32]int64, error) {
	offsets, err := offsetsOf(ctx, cfg, topic, func(i *inquiry, partition int32) (int64, error) {
		return i.conn.GetOffset(topic, partition, sarama.OffsetNewest)
	})
	if err != nil {
		return nil, fmt.Errorf("find the ends of topic %q: %w", topic, err)
	}
	return offsets, nil
}

// OffsetsSince returns for each partition of the topic an offset below which
// every record has an earlier time than since: a place from which to Scan. Since
// the zero time that is the log's start. The error is a *TopicError when the topic
// does not exist, or says that Kafka gave no answer for eight seconds.
func OffsetsSince(ctx context.Context, cfg Config, topic string, since time.Time) (map[int32]int64, error) {
	offsets, err := offsetsOf(ctx, cfg, topic, func(i *inquiry, partition int32) (int64, error) {
		return i.offsetSince(topic, partition, since)
	})
	if err != nil {
		return nil, fmt.Errorf("find the time %s in topic %q: %w", since.UTC().Format(time.RFC3339), topic, err)
	}
	return offsets, nil
}

func offsetsOf(ctx context.Context, cfg Config, topic string, of func(i *inquiry, partition int32) (int64, error)) (map[int32]int64, error) {
	i := &inquiry{cfg: cfg}
	defer i.disconnect()
	offsets := make(map[int32]int64)
	err := i.ask(ctx, func() error {
		if err := checkTopic(i.conn, topic, 0); err != nil {
			return err
		}
		partitions, err := i.conn.Partitions(topic)
		if err != nil {
			return err
		}
		for _, partition := range partitions {
			if offsets[partition], err = of(i, partition); err != nil {
				return err
			}
		}
		return nil
	})
	return offsets, err
}

func (i *inquiry) offsetSince(topic string, partition int32, since time.Time) (int64, error) {
	if since.IsZero() {
		return i.conn.GetOffset(topic, partition, sarama.OffsetOldest)
	}
	// The end first: a record written between the two questions must not lie below it.
	end, err := i.conn.GetOffset(topic, partition, sarama.OffsetNewest)
	if err != nil {
		return 0, err
	}
	found, err := i.conn.GetOffset(topic, partition, since.UnixMilli())
	if err != nil || found < 0 {
		return end, err
	}
	return min(end, found), nil
}

// TopicID returns the id that Kafka gave the topic when it was created: one that is
// created again under the same name has another. It is "" where the broker gives
// none. The error says that Kafka gave no answer for eight seconds.
func TopicID(ctx context.Context, cfg Config, topic string) (id string, err error) {
	i := &inquiry{cfg: cfg}
	defer i.disconnect()
	err = i.ask(ctx, func() error {
		id, err = topicID(i.conn, topic)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("ask for the id of topic %q: %w", topic, err)
	}
	return id, nil
}

// HasGroup tells whether Kafka knows a consumer group of that name: one that has
// members, or offsets. The error says that Kafka gave no answer for eight seconds.
func HasGroup(ctx context.Context, cfg Config, group string) (bool, error) {
	i := &inquiry{cfg: cfg}
	defer i.disconnect()
	known := false
	err := i.ask(ctx, func() error {
		coordinator, err := i.conn.Coordinator(group)
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
			_ = i.conn.RefreshCoordinator(group)
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
