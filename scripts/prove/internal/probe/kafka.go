package probe

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"example.com/todo/scripts/prove/internal/history"
)

const (
	topic           = "task-events"
	deadLetterTopic = "task-events-dlq"
	kafkaTimeout    = 10 * time.Second // of one probe, with the client's retries
	readTimeout     = 2 * time.Minute  // of a whole topic; 200,000 events take seconds
)

// Lag returns the number of records of the topic that a group has not committed.
func (p *Probe) Lag(ctx context.Context, group string) (lag int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, kafkaTimeout)
	defer cancel()
	committed, err := p.kafka.FetchOffsetsForTopics(ctx, group, topic)
	if err != nil {
		return 0, err
	}
	ends, err := p.listEnds(ctx, topic)
	for partition, end := range ends {
		at, _ := committed.Lookup(topic, partition)
		lag += end.Offset - max(0, at.At)
	}
	return lag, err
}

// ShortestPartition returns the number of records in the topic's shortest partition.
func (p *Probe) ShortestPartition(ctx context.Context) (least int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, kafkaTimeout)
	defer cancel()
	ends, err := p.listEnds(ctx, topic)
	least = math.MaxInt64
	for _, end := range ends {
		least = min(least, end.Offset)
	}
	return least, err
}

// listEnds returns the end of a topic by partition.
func (p *Probe) listEnds(ctx context.Context, topic string) (map[int32]kadm.ListedOffset, error) {
	ends, err := p.kafka.ListEndOffsets(ctx, topic)
	if err := errors.Join(err, ends.Error()); err != nil {
		return nil, fmt.Errorf("list the offsets of %s: %w", topic, err)
	}
	return ends[topic], nil
}

// ResetOffsets sets the committed offsets of a group without running members to the topic's
// beginning. It removes static members first: the broker refuses commits from outside while they
// belong to the group.
func (p *Probe) ResetOffsets(ctx context.Context, group string) error {
	described, err := p.kafka.DescribeGroups(ctx, group)
	if err != nil {
		return fmt.Errorf("describe group %s: %w", group, err)
	}
	leave := kadm.LeaveGroup(group)
	for _, member := range described[group].Members {
		if member.InstanceID != nil {
			leave.InstanceIDs(*member.InstanceID)
		}
	}
	left, err := p.kafka.LeaveGroup(ctx, leave)
	if err := errors.Join(err, left.Error()); err != nil {
		return fmt.Errorf("remove the static members of group %s: %w", group, err)
	}
	ends, err := p.listEnds(ctx, topic)
	if err != nil {
		return err
	}
	var beginning kadm.Offsets
	for partition := range ends {
		beginning.AddOffset(topic, partition, 0, -1)
	}
	if err := p.kafka.CommitAllOffsets(ctx, group, beginning); err != nil {
		return fmt.Errorf("reset offsets of group %s: %w", group, err)
	}
	return nil
}

// readTopic reads a whole topic, from its beginning to its end at the time of the call. Each
// partition is in the order of its offsets.
func (p *Probe) readTopic(ctx context.Context, topic string) ([]history.Record, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	ends, err := p.listEnds(ctx, topic)
	if err != nil {
		return nil, err
	}
	unread := map[int32]kgo.Offset{}
	for partition, end := range ends {
		if end.Offset > 0 {
			unread[partition] = kgo.NewOffset().AtStart()
		}
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(p.Brokers...),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: maps.Clone(unread)}))
	if err != nil {
		return nil, err
	}
	defer client.Close()
	var all []history.Record
	for len(unread) > 0 {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return nil, fmt.Errorf("read %s, %d partitions not to their end: %w", topic, len(unread), err)
		}
		for _, r := range fetches.Records() {
			last := ends[r.Partition].Offset - 1
			if r.Offset <= last {
				all = append(all, toRecord(r))
			}
			if r.Offset >= last {
				delete(unread, r.Partition)
			}
		}
	}
	return all, nil
}

func toRecord(r *kgo.Record) history.Record {
	record := history.Record{
		Position: history.Position{Partition: r.Partition, Offset: r.Offset}, Key: r.Key, Value: r.Value, Time: r.Timestamp,
	}
	for _, h := range r.Headers {
		record.Headers = append(record.Headers, history.Header{Key: h.Key, Value: string(h.Value)})
	}
	return record
}
