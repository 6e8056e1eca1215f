package kafka_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"example.com/todo/platform/kafka"
)

// visited is what a scan handed over.
type visited struct {
	t       *testing.T
	records map[int32][]kafka.Record
	batches int
}

func (s *visited) visit(_ context.Context, batch []kafka.Record) error {
	s.batches++
	if len(batch) == 0 || len(batch) > 1000 {
		s.t.Errorf("a batch of %d records", len(batch))
	}
	for _, record := range batch {
		if record.Partition != batch[0].Partition {
			s.t.Error("a batch of several partitions")
		}
		s.records[record.Partition] = append(s.records[record.Partition], record)
	}
	return nil
}

// offsets returns for each partition the offsets seen, in the order seen.
func (s *visited) offsets() map[int32][]int64 {
	offsets := make(map[int32][]int64)
	for partition, records := range s.records {
		for _, record := range records {
			offsets[partition] = append(offsets[partition], record.Offset)
		}
	}
	return offsets
}

func scan(t *testing.T, w env, from map[int32]int64) (*visited, map[int32]int64) {
	t.Helper()
	seen := &visited{t: t, records: make(map[int32][]kafka.Record)}
	next, err := kafka.Scan(timeoutContext(t), w.config(), w.topic, from, seen.visit)
	if err != nil {
		t.Fatal(err)
	}
	return seen, next
}

func TestScanHandsOverWhatWasInTheTopicWhenItBegan(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(t *testing.T, w env) {
		written := time.Now().Add(-time.Hour).Truncate(time.Millisecond)
		var many []*kgo.Record
		for i := range 2500 {
			many = append(many, value(strings.Repeat("x", 1000)+fmt.Sprint(i)))
		}
		w.send(t, many...)
		w.send(t,
			&kgo.Record{Partition: 2, Key: []byte("k\xff"), Value: nil, Timestamp: written, Headers: []kgo.RecordHeader{{Key: "h", Value: []byte("\xfe")}}},
			&kgo.Record{Partition: 2, Value: []byte{}, Timestamp: written},
		)
		seen := &visited{t: t, records: make(map[int32][]kafka.Record)}
		more := false
		next, err := kafka.Scan(timeoutContext(t), w.config(), w.topic, nil, func(ctx context.Context, batch []kafka.Record) error {
			if !more {
				more = true
				w.send(t, value("later"), &kgo.Record{Partition: 1, Value: []byte("later")}, &kgo.Record{Partition: 2, Value: []byte("later")})
			}
			return seen.visit(ctx, batch)
		})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[int32]int64{0: 2500, 1: 0, 2: 2}, next); diff != "" {
			t.Errorf("next (-want +got):\n%s", diff)
		}
		if got := len(seen.records[0]); got != 2500 || seen.batches < 4 {
			t.Errorf("%d records of partition 0 in %d batches in all", got, seen.batches)
		}
		for i, record := range seen.records[0] {
			if record.Offset != int64(i) || !strings.HasSuffix(string(record.Value), "x"+fmt.Sprint(i)) || record.Topic != w.topic {
				t.Fatalf("record %d of partition 0 is %d: …%s", i, record.Offset, record.Value[990:])
			}
		}
		id := seen.records[2][0].TopicID
		if id == "" {
			t.Error("the records do not say which topic they are of")
		}
		want := []kafka.Record{
			{Topic: w.topic, TopicID: id, Partition: 2, Offset: 0, Key: []byte("k\xff"), Headers: []kafka.Header{{Key: "h", Value: "\xfe"}}, Time: written},
			{Topic: w.topic, TopicID: id, Partition: 2, Offset: 1, Value: []byte{}, Time: written},
		}
		if diff := cmp.Diff(want, seen.records[2]); diff != "" {
			t.Errorf("partition 2 (-want +got):\n%s", diff)
		}
		rest, end := scan(t, w, next)
		if diff := cmp.Diff(map[int32][]int64{0: {2500}, 1: {0}, 2: {2}}, rest.offsets()); diff != "" {
			t.Errorf("the rest (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(map[int32]int64{0: 2501, 1: 1, 2: 3}, end); diff != "" {
			t.Errorf("its next (-want +got):\n%s", diff)
		}
	})
}

// A transaction ends with a record of Kafka's own that nobody is shown.
func TestScanEndsWhereNoRecordIs(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(t *testing.T, w env) {
		client := w.client(t, kgo.TransactionalID(w.topic), kgo.RecordPartitioner(kgo.ManualPartitioner()))
		for _, text := range []string{"first", "second"} {
			if err := client.BeginTransaction(); err != nil {
				t.Fatal(err)
			}
			err := client.ProduceSync(timeoutContext(t), &kgo.Record{Topic: w.topic, Value: []byte(text)}).FirstErr()
			if err == nil {
				err = client.EndTransaction(timeoutContext(t), kgo.TryCommit)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		eventually(t, "both ends to be written", func() bool { return w.total(t, w.topic) == 4 })
		seen, next := scan(t, w, nil)
		if diff := cmp.Diff(map[int32][]int64{0: {0, 2}}, seen.offsets()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if next[0] != 4 {
			t.Errorf("goes on at %d, want 4", next[0])
		}
	})
}

func TestScanBeginsAtTheLogsStartWhenItsPlaceWasDeleted(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(t *testing.T, w env) {
		w.send(t, value("0"), value("1"), value("2"), &kgo.Record{Partition: 1, Value: []byte("0")})
		w.deleteBelow(t, map[int32]int64{0: 2, 1: 1})
		for name, from := range map[string]map[int32]int64{"nowhere said": nil, "deleted": {0: 1}, "another partition": {9: 5}} {
			seen, next := scan(t, w, from)
			if diff := cmp.Diff(map[int32][]int64{0: {2}}, seen.offsets()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
			if diff := cmp.Diff(map[int32]int64{0: 3, 1: 1, 2: 0}, next); diff != "" {
				t.Errorf("%s, next (-want +got):\n%s", name, diff)
			}
		}
	})
}

func TestScanGoesOnAfterRecordsDeletedMeanwhile(t *testing.T) {
	t.Parallel()
	w := newFakeEnv(t)
	w.send(t, value("0"), &kgo.Record{Partition: 1, Value: []byte("0")}, &kgo.Record{Partition: 1, Value: []byte("1")})
	seen := &visited{t: t, records: make(map[int32][]kafka.Record)}
	_, err := kafka.Scan(timeoutContext(t), w.config(), w.topic, nil, func(ctx context.Context, batch []kafka.Record) error {
		if batch[0].Partition == 0 {
			w.deleteBelow(t, map[int32]int64{1: 1})
		}
		return seen.visit(ctx, batch)
	})
	if diff := cmp.Diff(map[int32][]int64{0: {0}, 1: {1}}, seen.offsets()); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

// Compaction may leave batches without records, which Sarama does not show.
func TestScanStepsOverBatchesThatWereEmptied(t *testing.T) {
	t.Parallel()
	w := newFakeEnv(t)
	w.send(t, value("0"), value("1"), value("2"), value("3"))
	w.emptyBetween(0, 3)
	seen, next := scan(t, w, nil)
	if diff := cmp.Diff(map[int32][]int64{0: {3}}, seen.offsets()); diff != "" || next[0] != 4 {
		t.Errorf("goes on at %d (-want +got):\n%s", next[0], diff)
	}
}

func TestScanStopsAtTheVisitorsError(t *testing.T) {
	t.Parallel()
	w := newFakeEnv(t)
	w.send(t, value("0"), &kgo.Record{Partition: 1, Value: []byte("0")})
	enough := errors.New("enough")
	next, err := kafka.Scan(timeoutContext(t), w.config(), w.topic, nil, func(_ context.Context, batch []kafka.Record) error {
		if batch[0].Partition == 1 {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) || next[0] != 1 || next[1] != 0 {
		t.Errorf("%v, next %v", err, next)
	}
}

func TestScanSaysThatATopicIsMissing(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(t *testing.T, w env) {
		_, err := kafka.Scan(timeoutContext(t), w.config(), w.topic+"-none", nil, nil)
		var missing *kafka.TopicError
		if !errors.As(err, &missing) || missing.Have != 0 {
			t.Errorf("got %v", err)
		}
	})
}

func TestScanOutlivesABrokerOutage(t *testing.T) {
	t.Parallel()
	w := newFakeEnv(t)
	w.send(t, value("0"), &kgo.Record{Partition: 2, Value: []byte("0")})
	seen := &visited{t: t, records: make(map[int32][]kafka.Record)}
	_, err := kafka.Scan(timeoutContext(t), w.config(), w.topic, nil, func(ctx context.Context, batch []kafka.Record) error {
		if batch[0].Partition == 0 {
			w.fake.stop()
			w.fake.restart()
		}
		return seen.visit(ctx, batch)
	})
	if diff := cmp.Diff(map[int32][]int64{0: {0}, 2: {0}}, seen.offsets()); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestScanSaysThatKafkaIsAway(t *testing.T) {
	t.Parallel()
	for name, away := range brokerAway {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newFakeEnv(t)
			away(w.fake)
			begun := time.Now()
			_, err := kafka.Scan(timeoutContext(t), w.config(), w.topic, nil, nil)
			took := time.Since(begun)
			if err == nil || errors.Is(err, context.Canceled) || took > 10*time.Second || !strings.Contains(err.Error(), "no answer from Kafka at "+w.brokers[0]) {
				t.Errorf("after %v: %v", took, err)
			}
		})
		t.Run(name+", told to stop", func(t *testing.T) {
			t.Parallel()
			w := newFakeEnv(t)
			away(w.fake)
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			begun := time.Now()
			_, err := kafka.Scan(ctx, w.config(), w.topic, nil, nil)
			if took := time.Since(begun); !errors.Is(err, context.DeadlineExceeded) || took > 3*time.Second {
				t.Errorf("after %v: %v", took, err)
			}
		})
	}
}

// deleteBelow moves the starts of partitions' logs, as retention does.
func (w env) deleteBelow(t *testing.T, offsets map[int32]int64) {
	t.Helper()
	topic := kmsg.NewDeleteRecordsRequestTopic()
	topic.Topic = w.topic
	for partition, offset := range offsets {
		part := kmsg.NewDeleteRecordsRequestTopicPartition()
		part.Partition, part.Offset = partition, offset
		topic.Partitions = append(topic.Partitions, part)
	}
	request := kmsg.NewPtrDeleteRecordsRequest()
	request.Topics = append(request.Topics, topic)
	response, err := request.RequestWith(timeoutContext(t), w.client(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range response.Topics[0].Partitions {
		if err := kerr.ErrorForCode(part.ErrorCode); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAVisitThatHasEnoughOfAPartitionIsHandedTheNext(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(t *testing.T, w env) {
		for partition := range int32(3) {
			for range 3 {
				w.send(t, &kgo.Record{Partition: partition, Value: []byte("x")})
			}
		}
		seen := &visited{t: t, records: make(map[int32][]kafka.Record)}
		next, err := kafka.Scan(timeoutContext(t), w.config(), w.topic, nil, func(ctx context.Context, batch []kafka.Record) error {
			if batch[0].Partition == 1 {
				return fmt.Errorf("enough: %w", kafka.SkipPartition)
			}
			return seen.visit(ctx, batch)
		})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[int32]int64{0: 3, 1: 0, 2: 3}, next); diff != "" {
			t.Errorf("next (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(map[int32][]int64{0: {0, 1, 2}, 2: {0, 1, 2}}, seen.offsets()); diff != "" {
			t.Errorf("seen (-want +got):\n%s", diff)
		}
	})
}
