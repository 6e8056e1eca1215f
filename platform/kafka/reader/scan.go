// Package reader reads topics from outside any consumer group: Scan hands over what a
// topic has and stops, and the other functions answer questions about offsets, topics
// and groups. Each call connects for itself and retries for eight seconds at most.
package reader

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/IBM/sarama"

	"example.com/todo/platform/kafka"
	"example.com/todo/platform/kafka/internal/client"
	"example.com/todo/platform/kafka/internal/fetch"
)

// maxVisitRecords is the most records that visit gets at once.
const maxVisitRecords = 1000

// SkipPartition is what visit returns to end its partition: Scan continues with the
// next one.
var SkipPartition = errors.New("the rest of this partition is skipped") //nolint:revive,staticcheck // like fs.SkipDir

// errNoProgress is about a response without records where there must be some.
var errNoProgress = errors.New("the broker has nothing to hand over yet")

// Scan hands over everything that was committed to the topic when the call began:
// partition by partition, in order, in batches of up to 1,000 records of one
// partition, one call of visit at a time. At an open transaction a partition ends with
// the transaction's first record. Scan joins no group and moves no offset.
//
// from is where each partition begins. A partition that it does not name, or whose
// offset was deleted, begins at its log's start.
//
// next has for each partition the offset at which a later Scan continues. It is right
// after an error too: a batch for which visit returned an error counts as not handed
// over. A batch that cannot be decoded is one record, whose Undecodable says why.
//
// The error is visit's own, a *kafka.TopicError if the topic does not exist, or says
// that Kafka did not respond for eight seconds.
func Scan(ctx context.Context, cfg kafka.Config, topic string, from map[int32]int64,
	visit func(ctx context.Context, batch []kafka.Record) error,
) (next map[int32]int64, err error) {
	s := &scan{requester: newRequester(cfg), topic: topic, next: make(map[int32]int64)}
	defer s.client.Close()
	if err := s.request(ctx, func(c *client.Client) error { return s.resolveBounds(c, from) }); err != nil {
		return s.next, fmt.Errorf("read topic %q: %w", topic, err)
	}
	for _, partition := range slices.Sorted(maps.Keys(s.end)) {
		for s.next[partition] < s.end[partition] {
			err := s.visitNext(ctx, partition, visit)
			if errors.Is(err, SkipPartition) {
				break
			}
			if err != nil {
				return s.next, err
			}
		}
	}
	return s.next, nil
}

type scan struct {
	*requester
	topic   string
	topicID string
	next    map[int32]int64
	end     map[int32]int64 // each log's last stable offset when the scan began
}

// resolveBounds finds where each partition begins and ends.
func (s *scan) resolveBounds(c *client.Client, from map[int32]int64) error {
	if err := c.CheckTopic(s.topic, 0); err != nil {
		return err
	}
	var err error
	if s.topicID, err = c.TopicID(s.topic); err != nil {
		return err
	}
	oldest, err := c.Offsets(s.topic, sarama.OffsetOldest)
	if err != nil {
		return err
	}
	if s.end, err = c.Offsets(s.topic, sarama.OffsetNewest); err != nil {
		return err
	}
	for partition, start := range oldest {
		s.next[partition] = max(from[partition], start)
	}
	return nil
}

// visitNext hands over the records of one response.
func (s *scan) visitNext(
	ctx context.Context, partition int32, visit func(context.Context, []kafka.Record) error,
) error {
	var result fetch.Result
	err := s.request(ctx, func(c *client.Client) (err error) {
		result, err = s.fetchNext(c, partition)
		return err
	})
	if err != nil {
		return fmt.Errorf("read topic %q, partition %d at %d: %w", s.topic, partition, s.next[partition], err)
	}
	for i := range result.Records {
		result.Records[i].TopicID = s.topicID
	}
	for batch := range slices.Chunk(result.Records, maxVisitRecords) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := visit(ctx, batch); err != nil {
			return err
		}
		s.next[partition] = batch[len(batch)-1].Offset + 1
	}
	// Next may be further on than the last record. A reader of committed records gets no
	// aborted ones and no transaction markers, and what compaction removed has offsets too.
	s.next[partition] = result.Next
	return nil
}

// fetchNext fetches the next records below the partition's end.
func (s *scan) fetchNext(c *client.Client, partition int32) (fetch.Result, error) {
	from, end := s.next[partition], s.end[partition]
	result, err := fetch.Fetch(c, kafka.TopicPartition{Topic: s.topic, Partition: partition}, from)
	switch {
	case errors.Is(err, sarama.ErrOffsetOutOfRange):
		// The scan continues at the log's start, unless the leader's log is behind.
		oldest, err := c.GetOffset(s.topic, partition, sarama.OffsetOldest)
		if err == nil && oldest <= from {
			err = errNoProgress
		}
		return fetch.Result{Next: oldest}, err
	case err != nil:
		return fetch.Result{}, err
	case result.Next == from:
		return fetch.Result{}, errNoProgress
	}
	result.Records = slices.DeleteFunc(result.Records, func(r kafka.Record) bool { return r.Offset >= end })
	result.Next = min(result.Next, end)
	return result, nil
}
