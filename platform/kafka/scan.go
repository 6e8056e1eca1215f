package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/IBM/sarama"
)

// maxVisitRecords is the most that visit is handed at once.
const maxVisitRecords = 1000

// SkipPartition is what a visit returns that wants no more of a partition: Scan
// goes on with the next one.
var SkipPartition error = skipPartition{}

type skipPartition struct{}

func (skipPartition) Error() string { return "no more of this partition is wanted" }

// Scan hands over everything that was committed to the topic when it was called,
// partition by partition and in order, in batches of up to 1,000 records of one
// partition, one call of visit at a time. Where a transaction is open a partition
// ends for it with the transaction's first record. It joins no group and moves no offset.
// from says where to begin; a partition that it does not name begins at its
// log's start, and so does one whose place was deleted.
//
// next has for each partition the offset below which a later Scan would hand over
// nothing new, so that one from there goes on; it is right after an error too. A batch
// for which visit returned an error counts as not handed over. A batch that cannot
// be decoded is one record, whose Undecodable says why. The
// error is visit's own, a *TopicError when the topic does not exist, or says
// that Kafka gave no answer for eight seconds.
func Scan(ctx context.Context, cfg Config, topic string, from map[int32]int64,
	visit func(ctx context.Context, batch []Record) error,
) (next map[int32]int64, err error) {
	s := &scan{inquiry: inquiry{cfg: cfg}, topic: topic, next: make(map[int32]int64), end: make(map[int32]int64)}
	defer s.disconnect()
	if err := s.ask(ctx, func() error { return s.resolveBounds(from) }); err != nil {
		return s.next, fmt.Errorf("read topic %q: %w", topic, err)
	}
	for _, partition := range slices.Sorted(maps.Keys(s.end)) {
		for s.next[partition] < s.end[partition] {
			err := s.fetchNext(ctx, partition, visit)
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
	id    string // of the topic when the scan began
	next  map[int32]int64
	end   map[int32]int64 // each log's last stable offset when the scan began
}

// resolveStart finds where each partition begins and ends.
func (s *scan) resolveBounds(from map[int32]int64) error {
	if err := checkTopic(s.conn, s.topic, 0); err != nil {
		return err
	}
	id, err := topicID(s.conn, s.topic)
	if err != nil {
		return err
	}
	s.id = id
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

// fetchNext hands over what one request brings.
func (s *scan) fetchNext(ctx context.Context, partition int32, visit func(context.Context, []Record) error) error {
	var records []Record
	var after int64
	err := s.ask(ctx, func() (err error) {
		records, after, err = s.fetch(partition)
		return err
	})
	if err != nil {
		return fmt.Errorf("read topic %q, partition %d at %d: %w", s.topic, partition, s.next[partition], err)
	}
	for i := range records {
		records[i].TopicID = s.id
	}
	for batch := range slices.Chunk(records, maxVisitRecords) {
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

// errNoProgress is about an answer without records where there must be some.
var errNoProgress = errors.New("the broker has nothing to hand over yet")

// fetch returns the next records, and where to go on after them. That may be
// further than the last one: a reader of committed records is given neither
// aborted ones nor what Kafka writes for itself, such as the end of a
// transaction, and what compaction removed has an offset too.
func (s *scan) fetch(partition int32) (records []Record, after int64, err error) {
	from, end := s.next[partition], s.end[partition]
	answer, err := s.conn.read(TopicPartition{s.topic, partition}, from)
	switch {
	case errors.Is(err, sarama.ErrOffsetOutOfRange):
		return s.skipDeleted(partition)
	case err != nil:
		return nil, 0, err
	case answer.Next == from:
		return nil, 0, errNoProgress
	}
	return slices.DeleteFunc(answer.Records, func(r Record) bool { return r.Offset >= end }), min(answer.Next, end), nil
}

// skipDeleted goes on at the log's start, when that has moved.
func (s *scan) skipDeleted(partition int32) ([]Record, int64, error) {
	oldest, err := s.conn.GetOffset(s.topic, partition, sarama.OffsetOldest)
	if err == nil && oldest <= s.next[partition] {
		err = errNoProgress // a leader that is behind
	}
	return nil, oldest, err
}
