package consumer_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kversion"

	"example.com/todo/platform/kafka"
	"example.com/todo/platform/kafka/internal/brokertest"
	"example.com/todo/platform/testenv"
)

// onEachBrokerAndWithoutIDs is OnEachBroker, and a fake broker that gives topics no ids.
func onEachBrokerAndWithoutIDs(t *testing.T, test func(t *testing.T, w brokertest.Env)) {
	brokertest.OnEachBroker(t, test)
	t.Run("without topic ids", func(t *testing.T) {
		t.Parallel()
		test(t, brokertest.NewFakeEnv(t, kfake.MaxVersions(kversion.V2_7_0())))
	})
}

// committedOffset returns the group's offset of partition 0 and its metadata.
func committedOffset(t *testing.T, w brokertest.Env, group string) (offset int64, metadata string) {
	t.Helper()
	committed, err := w.Admin(t).FetchOffsets(brokertest.TimeoutContext(t), group)
	if err != nil {
		t.Fatal(err)
	}
	found, _ := committed.Lookup(w.Topic, 0)
	return found.At, found.Metadata
}

func values(prefix string, count int) (records []*kgo.Record) {
	for i := range count {
		records = append(records, brokertest.Value(fmt.Sprint(prefix, i)))
	}
	return records
}

func TestGroupBeginsAtTheStartOfATopicReplacedDuringItsSession(t *testing.T) {
	t.Parallel()
	brokertest.OnEachBroker(t, func(t *testing.T, w brokertest.Env) {
		w.Send(t, values("old ", 5)...)
		notes := &notebook{}
		group := run(t, groupConfig(w, "readers"), notes)
		notes.handles(t, "old 0", "old 1", "old 2", "old 3", "old 4")
		w.Recreate(t)
		w.Send(t, values("new ", 9)...)
		testenv.Eventually(t, "the new topic's records", func() bool {
			seen := notes.values(0)
			return slices.Contains(seen, "new 0") && slices.Contains(seen, "new 8")
		})
		if replaced := metric(t, group, `kafka_consumer_replaced_topics_total{}`); replaced < 1 {
			t.Errorf("%v replaced topics were counted, want at least 1", replaced)
		}
	})
}

// Kafka deletes the group's offsets along with the topic. A member that still reads
// commits its own afterwards.
func TestGroupDropsACommittedOffsetOfAnEarlierTopic(t *testing.T) {
	t.Parallel()
	onEachBrokerAndWithoutIDs(t, func(t *testing.T, w brokertest.Env) {
		w.Send(t, values("old ", 5)...)
		notes := &notebook{}
		first := run(t, groupConfig(w, "readers"), notes)
		notes.handles(t, "old 0", "old 1", "old 2", "old 3", "old 4")
		if err := first.stop(); err != nil {
			t.Fatal(err)
		}
		offset, metadata := committedOffset(t, w, w.Group("readers"))
		w.Recreate(t)
		w.Send(t, values("new ", 9)...)
		commit(t, w, w.Group("readers"), offset, metadata)
		notes = &notebook{}
		second := run(t, groupConfig(w, "readers"), notes)
		testenv.Eventually(t, "the new topic's records", func() bool { return len(notes.values(0)) >= 9 })
		if seen := notes.values(0); seen[0] != "new 0" || len(seen) != 9 {
			t.Errorf("read %q", seen)
		}
		if replaced := metric(t, second, `kafka_consumer_replaced_topics_total{}`); replaced < 1 {
			t.Errorf("%v replaced topics were counted, want at least 1", replaced)
		}
	})
}

// Earlier versions and Kafka's own tools commit offsets without an incarnation.
func TestGroupAcceptsACommittedOffsetWithoutAnIncarnation(t *testing.T) {
	t.Parallel()
	onEachBrokerAndWithoutIDs(t, func(t *testing.T, w brokertest.Env) {
		w.Send(t, values("", 5)...)
		commit(t, w, w.Group("readers"), 3, "")
		notes := &notebook{}
		group := run(t, groupConfig(w, "readers"), notes)
		notes.handles(t, "3", "4")
		if err := group.stop(); err != nil {
			t.Fatal(err)
		}
		if offset, metadata := committedOffset(t, w, w.Group("readers")); offset != 5 || metadata == "" {
			t.Errorf("then %d is committed, of the log %q", offset, metadata)
		}
		notes = &notebook{}
		run(t, groupConfig(w, "readers"), notes)
		w.Send(t, brokertest.Value("5"))
		notes.handles(t, "5")
	})
}

// logRecorder is an OffsetStore without offsets that keeps the log that it gets.
type logRecorder struct {
	*notebook
	shown chan kafka.PartitionLog
}

func (l *logRecorder) StartOffset(_ context.Context, partition int32, log kafka.PartitionLog) (int64, error) {
	if partition == 0 {
		select {
		case l.shown <- log:
		default:
		}
	}
	return -1, nil
}

func TestPartitionLogLooksUpTheRecordOfAnIncarnation(t *testing.T) {
	t.Parallel()
	onEachBrokerAndWithoutIDs(t, func(t *testing.T, w brokertest.Env) {
		w.Send(t, values("", 4)...)
		store := &logRecorder{notebook: &notebook{}, shown: make(chan kafka.PartitionLog, 1)}
		run(t, groupConfig(w, "readers"), store)
		log := <-store.shown
		w.DeleteBelow(t, map[int32]int64{0: 2})
		for name, test := range map[string]struct {
			record kafka.Record
			owned  bool
		}{
			"that is there":                  {kafka.Record{Offset: 3, Value: []byte("3")}, true},
			"at whose offset is another one": {kafka.Record{Offset: 3, Value: []byte("old 3")}, false},
			"after the last one":             {kafka.Record{Offset: 4, Value: []byte("4")}, false},
			"far beyond the last one":        {kafka.Record{Offset: 400, Value: []byte("400")}, false},
			"that the log has deleted":       {kafka.Record{Offset: 1, Value: []byte("old 1")}, true},
		} {
			if owned, err := log.Matches(brokertest.TimeoutContext(t), test.record.Incarnation()); err != nil || owned != test.owned {
				t.Errorf("%s: %t, %v; want %t", name, owned, err, test.owned)
			}
		}
	})
}
