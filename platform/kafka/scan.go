package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/IBM/sarama"
)

const (
	// scanRecords is the most that visit is handed at once.
	scanRecords = 1000
	// scanWait is how long a broker may keep a request that finds nothing.
	scanWait = 250 * time.Millisecond
)

// SkipPartition is what a visit returns that wants no more of a partition: Scan
// goes on with the next one.
var SkipPartition error = skipPartition{}

type skipPartition struct{}

func (skipPartition) Error() string { return "no more of this partition is wanted" }

// Scan hands over everything that was in the topic when it was called,
// partition by partition and in order, in batches of up to 1,000 records of one
// partition, one call of visit at a time. It joins no group and moves no offset.
// from says where to begin; a partition that it does not name begins at its
// log's start, and so does one whose place was deleted.
//
// next has for each partition the offset after the last record handed over, so
// that a later Scan from there goes on; it is right after an error too. A batch
// for which visit returned an error counts as not handed over. The
// error is visit's own, a *TopicError when the topic does not exist, or says
// that Kafka gave no answer for eight seconds. The memory needed is that of one
// response: 1 MiB or one batch of the topic.
func Scan(ctx context.Context, cfg Config, topic string, from map[int32]int64,
	visit func(ctx context.Context, batch []Record) error,
) (next map[int32]int64, err error) {
	s := &scan{inquiry: inquiry{cfg: cfg}, topic: topic, next: make(map[int32]int64), end: make(map[int32]int64)}
	defer s.disconnect()
	if err := s.ask(ctx, func() error { return s.locate(from) }); err != nil {
		return s.next, fmt.Errorf("read topic %q: %w", topic, err)
	}
	for _, partition := range slices.Sorted(maps.Keys(s.end)) {
		for s.next[partition] < s.end[partition] {
			err := s.advance(ctx, partition, visit)
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
	inquiry
	topic string
	next  map[int32]int64
	end   map[int32]int64 // where each log ended when the scan began
}

// locate finds where each partition begins and ends.
func (s *scan) locate(from map[int32]int64) error {
	if err := checkTopic(s.conn, s.topic, 0); err != nil {
		return err
	}
	partitions, err := s.conn.Partitions(s.topic)
	if err != nil {
		return err
	}
	for _, partition := range partitions {
		oldest, err := s.conn.GetOffset(s.topic, partition, sarama.OffsetOldest)
		if err != nil {
			return err
		}
		newest, err := s.conn.GetOffset(s.topic, partition, sarama.OffsetNewest)
		if err != nil {
			return err
		}
		s.next[partition], s.end[partition] = max(from[partition], oldest), newest
	}
	return nil
}

// advance hands over what one request brings.
func (s *scan) advance(ctx context.Context, partition int32, visit func(context.Context, []Record) error) error {
	var records []Record
	var after int64
	err := s.ask(ctx, func() (err error) {
		records, after, err = s.fetch(partition)
		return err
	})
	if err != nil {
		return fmt.Errorf("read topic %q, partition %d at %d: %w", s.topic, partition, s.next[partition], err)
	}
	for batch := range slices.Chunk(records, scanRecords) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := visit(ctx, batch); err != nil {
			return err
		}
		s.next[partition] = batch[len(batch)-1].Offset + 1
	}
	s.next[partition] = after
	return nil
}

// errNotYet is about an answer without records where there must be some.
var errNotYet = errors.New("the broker has nothing to hand over yet")

// fetch returns the next records, and where to go on after them. That may be
// further than the last one: what Kafka writes for itself, such as the end of a
// transaction, and what compaction removed has an offset too.
func (s *scan) fetch(partition int32) (records []Record, after int64, err error) {
	from := s.next[partition]
	leader, err := s.conn.Leader(s.topic, partition)
	if err != nil {
		return nil, 0, err
	}
	request := &sarama.FetchRequest{
		Version:      11, // Kafka 2.3
		MinBytes:     1,
		MaxBytes:     fetchBytes,
		MaxWaitTime:  int32(scanWait / time.Millisecond),
		SessionEpoch: -1, // no session
	}
	request.AddBlock(s.topic, partition, from, partitionBytes, -1)
	response, err := leader.Fetch(request)
	if err != nil {
		return nil, 0, err
	}
	block := response.GetBlock(s.topic, partition)
	switch {
	case block == nil:
		return nil, 0, sarama.ErrIncompleteResponse
	case block.Err == sarama.ErrOffsetOutOfRange:
		return s.skipDeleted(partition)
	case block.Err != sarama.ErrNoError:
		return nil, 0, block.Err
	case len(block.RecordsSet) > 0:
		return s.unpack(partition, block.RecordsSet)
	case block.Partial, response.ThrottleTime > 0, from >= block.HighWaterMarkOffset:
		return nil, 0, errNotYet
	}
	return nil, from + 1, nil // batches that compaction emptied: Sarama does not say how far they go
}

// skipDeleted goes on at the log's start, when that has moved.
func (s *scan) skipDeleted(partition int32) ([]Record, int64, error) {
	oldest, err := s.conn.GetOffset(s.topic, partition, sarama.OffsetOldest)
	if err == nil && oldest <= s.next[partition] {
		err = errNotYet // a leader that is behind
	}
	return nil, oldest, err
}

// unpack copies the records that are asked for out of the batches.
func (s *scan) unpack(partition int32, batches []*sarama.Records) (records []Record, after int64, err error) {
	after = s.next[partition]
	for _, each := range batches {
		batch := each.RecordBatch
		switch {
		case batch == nil:
			return nil, 0, sarama.ConfigurationError("the topic's records are in a format older than Kafka 0.11")
		case batch.PartialTrailingRecord:
			continue
		}
		for _, sent := range batch.Records {
			offset := batch.FirstOffset + sent.OffsetDelta
			if batch.Control || offset < after || offset >= s.end[partition] {
				continue
			}
			written := batch.FirstTimestamp.Add(sent.TimestampDelta)
			if batch.LogAppendTime {
				written = batch.MaxTimestamp
			}
			records = append(records, received(&sarama.ConsumerMessage{
				Topic: s.topic, Partition: partition, Offset: offset,
				Key: sent.Key, Value: sent.Value, Headers: sent.Headers, Timestamp: written,
			}))
		}
		after = max(after, batch.LastOffset()+1)
	}
	if after == s.next[partition] {
		return nil, 0, errNotYet // less than one batch
	}
	return records, min(after, s.end[partition]), nil
}
