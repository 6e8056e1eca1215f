package reader_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"example.com/todo/platform/kafka"
	"example.com/todo/platform/kafka/internal/brokertest"
	"example.com/todo/platform/kafka/reader"
	"example.com/todo/platform/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// visited keeps what a scan handed over.
type visited struct {
	t       *testing.T
	records map[int32][]kafka.Record
	batches int
}

func newVisited(t *testing.T) *visited {
	return &visited{t: t, records: make(map[int32][]kafka.Record)}
}

// visit keeps the batch, and fails the test if it is not as Scan promises.
func (v *visited) visit(_ context.Context, batch []kafka.Record) error {
	v.batches++
	if len(batch) == 0 || len(batch) > 1000 {
		v.t.Errorf("a batch of %d records", len(batch))
	}
	for _, record := range batch {
		if record.Partition != batch[0].Partition {
			v.t.Error("a batch of several partitions")
		}
		v.records[record.Partition] = append(v.records[record.Partition], record)
	}
	return nil
}

// offsets returns the offsets by partition, in the order of the visits.
func (v *visited) offsets() map[int32][]int64 {
	offsets := make(map[int32][]int64)
	for partition, records := range v.records {
		for _, record := range records {
			offsets[partition] = append(offsets[partition], record.Offset)
		}
	}
	return offsets
}

// scan reads the topic from these offsets on.
func scan(t *testing.T, w brokertest.Env, from map[int32]int64) (*visited, map[int32]int64) {
	t.Helper()
	seen := newVisited(t)
	next, err := reader.Scan(brokertest.TimeoutContext(t), w.Config(), w.Topic, from, seen.visit)
	if err != nil {
		t.Fatal(err)
	}
	return seen, next
}

func TestScanHandsOverTheRecordsThatExistedWhenItBegan(t *testing.T) {
	t.Parallel()
	brokertest.OnEachBroker(t, func(t *testing.T, w brokertest.Env) {
		written := time.Now().Add(-time.Hour).Truncate(time.Millisecond)
		var many []*kgo.Record
		for i := range 2500 {
			many = append(many, brokertest.Value(strings.Repeat("x", 1000)+fmt.Sprint(i)))
		}
		w.Send(t, many...)
		w.Send(t,
			&kgo.Record{Partition: 2, Key: []byte("k\xff"), Value: nil, Timestamp: written, Headers: []kgo.RecordHeader{{Key: "h", Value: []byte("\xfe")}}},
			&kgo.Record{Partition: 2, Value: []byte{}, Timestamp: written},
		)
		seen := newVisited(t)
		more := false
		next, err := reader.Scan(brokertest.TimeoutContext(t), w.Config(), w.Topic, nil, func(ctx context.Context, batch []kafka.Record) error {
			if !more {
				more = true
				w.Send(t, brokertest.Value("later"), &kgo.Record{Partition: 1, Value: []byte("later")}, &kgo.Record{Partition: 2, Value: []byte("later")})
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
			if record.Offset != int64(i) || !strings.HasSuffix(string(record.Value), "x"+fmt.Sprint(i)) || record.Topic != w.Topic {
				t.Fatalf("record %d of partition 0 is %d: …%s", i, record.Offset, record.Value[990:])
			}
		}
		id := seen.records[2][0].TopicID
		if id == "" {
			t.Error("the records do not say which topic they are of")
		}
		want := []kafka.Record{
			{Topic: w.Topic, TopicID: id, Partition: 2, Offset: 0, Key: []byte("k\xff"), Headers: []kafka.Header{{Key: "h", Value: "\xfe"}}, Time: written},
			{Topic: w.Topic, TopicID: id, Partition: 2, Offset: 1, Value: []byte{}, Time: written},
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

func TestScanEndsAtATransactionMarker(t *testing.T) {
	t.Parallel()
	brokertest.OnEachBroker(t, func(t *testing.T, w brokertest.Env) {
		x := w.Transactions(t, "one")
		for _, text := range []string{"first", "second"} {
			x.Begin(text)
			x.End(kgo.TryCommit)
		}
		seen, next := scan(t, w, nil)
		if diff := cmp.Diff(map[int32][]int64{0: {0, 2}}, seen.offsets()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if next[0] != 4 {
			t.Errorf("goes on at %d, want 4", next[0])
		}
	})
}

func TestScanBeginsAtTheLogsStartWhenItsOffsetWasDeleted(t *testing.T) {
	t.Parallel()
	brokertest.OnEachBroker(t, func(t *testing.T, w brokertest.Env) {
		w.Send(t, brokertest.Value("0"), brokertest.Value("1"), brokertest.Value("2"), &kgo.Record{Partition: 1, Value: []byte("0")})
		w.DeleteBelow(t, map[int32]int64{0: 2, 1: 1})
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

func TestScanContinuesAfterRecordsDeletedMeanwhile(t *testing.T) {
	t.Parallel()
	w := brokertest.NewFakeEnv(t)
	w.Send(t, brokertest.Value("0"), &kgo.Record{Partition: 1, Value: []byte("0")}, &kgo.Record{Partition: 1, Value: []byte("1")})
	seen := newVisited(t)
	_, err := reader.Scan(brokertest.TimeoutContext(t), w.Config(), w.Topic, nil, func(ctx context.Context, batch []kafka.Record) error {
		if batch[0].Partition == 0 {
			w.DeleteBelow(t, map[int32]int64{1: 1})
		}
		return seen.visit(ctx, batch)
	})
	if diff := cmp.Diff(map[int32][]int64{0: {0}, 1: {1}}, seen.offsets()); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestScanSkipsBatchesThatCompactionEmptied(t *testing.T) {
	t.Parallel()
	w := brokertest.NewFakeEnv(t)
	w.Send(t, brokertest.Value("0"), brokertest.Value("1"), brokertest.Value("2"), brokertest.Value("3"))
	w.RespondWithEmptyBatch(0, 3)
	seen, next := scan(t, w, nil)
	if diff := cmp.Diff(map[int32][]int64{0: {3}}, seen.offsets()); diff != "" || next[0] != 4 {
		t.Errorf("goes on at %d (-want +got):\n%s", next[0], diff)
	}
}

func TestScanStopsAtTheVisitorsError(t *testing.T) {
	t.Parallel()
	w := brokertest.NewFakeEnv(t)
	w.Send(t, brokertest.Value("0"), &kgo.Record{Partition: 1, Value: []byte("0")})
	enough := errors.New("enough")
	next, err := reader.Scan(brokertest.TimeoutContext(t), w.Config(), w.Topic, nil, func(_ context.Context, batch []kafka.Record) error {
		if batch[0].Partition == 1 {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) || next[0] != 1 || next[1] != 0 {
		t.Errorf("%v, next %v", err, next)
	}
}

func TestScanReturnsATopicErrorWhenTheTopicIsMissing(t *testing.T) {
	t.Parallel()
	brokertest.OnEachBroker(t, func(t *testing.T, w brokertest.Env) {
		_, err := reader.Scan(brokertest.TimeoutContext(t), w.Config(), w.Topic+"-none", nil, nil)
		var missing *kafka.TopicError
		if !errors.As(err, &missing) || missing.Have != 0 {
			t.Errorf("got %v", err)
		}
	})
}

func TestScanSurvivesABrokerOutage(t *testing.T) {
	t.Parallel()
	w := brokertest.NewFakeEnv(t)
	w.Send(t, brokertest.Value("0"), &kgo.Record{Partition: 2, Value: []byte("0")})
	seen := newVisited(t)
	_, err := reader.Scan(brokertest.TimeoutContext(t), w.Config(), w.Topic, nil, func(ctx context.Context, batch []kafka.Record) error {
		if batch[0].Partition == 0 {
			w.Fake.Stop()
			w.Fake.Start()
		}
		return seen.visit(ctx, batch)
	})
	if diff := cmp.Diff(map[int32][]int64{0: {0}, 2: {0}}, seen.offsets()); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestScanFailsAfterEightSecondsWithoutAResponse(t *testing.T) {
	t.Parallel()
	for name, away := range map[string]func(*brokertest.FakeCluster){"down": (*brokertest.FakeCluster).Stop, "frozen": (*brokertest.FakeCluster).Freeze} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := brokertest.NewFakeEnv(t)
			away(w.Fake)
			begun := time.Now()
			_, err := reader.Scan(brokertest.TimeoutContext(t), w.Config(), w.Topic, nil, nil)
			took := time.Since(begun)
			if err == nil || errors.Is(err, context.Canceled) || took > 10*time.Second || !strings.Contains(err.Error(), "no answer from Kafka at "+w.Brokers[0]) {
				t.Errorf("after %v: %v", took, err)
			}
		})
		t.Run(name+", canceled", func(t *testing.T) {
			t.Parallel()
			w := brokertest.NewFakeEnv(t)
			away(w.Fake)
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			begun := time.Now()
			_, err := reader.Scan(ctx, w.Config(), w.Topic, nil, nil)
			if took := time.Since(begun); !errors.Is(err, context.DeadlineExceeded) || took > 3*time.Second {
				t.Errorf("after %v: %v", took, err)
			}
		})
	}
}

func TestScanContinuesWithTheNextPartitionAfterSkipPartition(t *testing.T) {
	t.Parallel()
	brokertest.OnEachBroker(t, func(t *testing.T, w brokertest.Env) {
		for partition := range int32(3) {
			for range 3 {
				w.Send(t, &kgo.Record{Partition: partition, Value: []byte("x")})
			}
		}
		seen := newVisited(t)
		next, err := reader.Scan(brokertest.TimeoutContext(t), w.Config(), w.Topic, nil, func(ctx context.Context, batch []kafka.Record) error {
			if batch[0].Partition == 1 {
				return fmt.Errorf("enough: %w", reader.SkipPartition)
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
