package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"example.com/todo/platform/kafka"
	"example.com/todo/platform/kafka/consumer"
	"example.com/todo/platform/kafka/internal/brokertest"
)

func TestGroupDeadLettersPermanentErrors(t *testing.T) {
	t.Parallel()
	brokertest.OnEachBroker(t, func(t *testing.T, w brokertest.Env) {
		poison := []byte("\xff\x00 not \xfe text")
		w.Send(t,
			brokertest.Value("1"),
			&kgo.Record{Key: []byte("k\xff"), Value: poison, Headers: []kgo.RecordHeader{{Key: "h", Value: []byte("\xfe")}, {Key: "error", Value: []byte("old")}}},
			&kgo.Record{Key: []byte("null"), Value: nil},
			brokertest.Value("2"),
		)
		notes := &notebook{}
		group := run(t, groupConfig(w, "readers"), handlerFunc(func(_ context.Context, batch []kafka.Record) (int, error) {
			for i, record := range batch {
				if record.Value == nil || string(record.Value) == string(poison) {
					return i, consumer.Permanent(errors.New("broken\xff"))
				}
				notes.add(record)
			}
			return len(batch), nil
		}))
		notes.handles(t, "1", "2")
		letters := w.Read(t, w.DLQ, 2)
		slices.SortFunc(letters, func(a, b *kgo.Record) int { return len(a.Key) - len(b.Key) })
		for i, letter := range letters {
			want := []kgo.RecordHeader{
				{Key: "error", Value: []byte("broken\uFFFD")},
				{Key: "original-topic", Value: []byte(w.Topic)},
				{Key: "original-partition", Value: []byte("0")},
				{Key: "original-offset", Value: fmt.Append(nil, i+1)},
				{Key: "consumer-group", Value: []byte(w.Group("readers"))},
				{Key: "attempts", Value: []byte("1")},
			}
			if i == 0 {
				want = append([]kgo.RecordHeader{{Key: "h", Value: []byte("\xfe")}, {Key: "error", Value: []byte("old")}}, want...)
			}
			if diff := cmp.Diff(want, letter.Headers[:len(letter.Headers)-1]); diff != "" {
				t.Errorf("letter %d, headers (-want +got):\n%s", i, diff)
			}
			failedAt := letter.Headers[len(letter.Headers)-1]
			if at, err := time.Parse(time.RFC3339, string(failedAt.Value)); failedAt.Key != "failed-at" || err != nil || time.Since(at) > time.Minute {
				t.Errorf("letter %d: %s is %s", i, failedAt.Key, failedAt.Value)
			}
		}
		if got := letters[0]; string(got.Key) != "k\xff" || string(got.Value) != string(poison) {
			t.Errorf("the letter's key is %q and its value %q", got.Key, got.Value)
		}
		if got := letters[1]; got.Value != nil {
			t.Errorf("null became %q", got.Value)
		}
		group.stop()
		wantMetric(t, group, `kafka_consumer_records_total{outcome="dead_lettered"}`, 2)
		again := &notebook{}
		run(t, groupConfig(w, "readers"), again)
		w.Send(t, brokertest.Value("3"))
		again.handles(t, "3")
	})
}

func TestGroupDeadLettersTheRecordWhoseHandlingPanics(t *testing.T) {
	t.Parallel()
	brokertest.OnEachBroker(t, func(t *testing.T, w brokertest.Env) {
		w.Send(t, brokertest.Value("1"), brokertest.Value("2"), brokertest.Value("mine"), brokertest.Value("3"))
		notes := &notebook{}
		run(t, groupConfig(w, "readers"), handlerFunc(func(_ context.Context, batch []kafka.Record) (int, error) {
			for _, record := range batch {
				if string(record.Value) == "mine" {
					panic("stepped on it")
				}
			}
			notes.add(batch...)
			return len(batch), nil
		}))
		notes.handles(t, "1", "2", "3")
		letter := w.Read(t, w.DLQ, 1)[0]
		headers := headersOf(letter)
		if string(letter.Value) != "mine" || headers["attempts"] != "5" || headers["error"] != "panic: stepped on it" {
			t.Errorf("dead letter %q with %v", letter.Value, headers)
		}
	})
}

func TestGroupHoldsThePartitionUntilTheDeadLetterIsAcknowledged(t *testing.T) {
	t.Parallel()
	w := brokertest.NewFakeEnv(t)
	refusals := w.Fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: w.DLQ, Err: kerr.TopicAuthorizationFailed, Count: -1})
	w.Send(t, brokertest.Value("poison"), brokertest.Value("1"))
	notes := &notebook{}
	poisoned := handlerFunc(func(ctx context.Context, batch []kafka.Record) (int, error) {
		if string(batch[0].Value) == "poison" {
			return 0, consumer.Permanent(errors.New("broken"))
		}
		return notes.Handle(ctx, batch)
	})
	group := run(t, groupConfig(w, "readers"), poisoned)
	if err := refusals.Wait(brokertest.TimeoutContext(t), 3); err != nil {
		t.Fatal(err)
	}
	group.stop()
	if notes.count() != 0 {
		t.Fatal("a record was handled before the one in front of it was dead-lettered")
	}
	run(t, groupConfig(w, "readers"), poisoned)
	if err := refusals.Wait(brokertest.TimeoutContext(t), 5); err != nil {
		t.Fatal(err)
	}
	refusals.Remove()
	notes.handles(t, "1")
	if letter := w.Read(t, w.DLQ, 1)[0]; string(letter.Value) != "poison" {
		t.Errorf("dead letter %q", letter.Value)
	}
}
