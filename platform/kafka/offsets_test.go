package kafka_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"example.com/todo/platform/kafka"
)

func TestOffsetsSinceLeaveOutWhatIsOlder(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(t *testing.T, w env) {
		noon := time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)
		at := func(partition int32, hours int) *kgo.Record {
			return &kgo.Record{Partition: partition, Value: []byte("x"), Timestamp: noon.Add(time.Duration(hours) * time.Hour)}
		}
		w.send(t, at(0, -2), at(0, -1), at(0, 0), at(0, -3), at(0, 1), at(1, -1))
		offsets, err := kafka.OffsetsSince(timeoutContext(t), w.config(), w.topic, noon)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[int32]int64{0: 2, 1: 1, 2: 0}, offsets); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		_, err = kafka.OffsetsSince(timeoutContext(t), w.config(), w.topic+"-none", noon)
		var missing *kafka.TopicError
		if !errors.As(err, &missing) {
			t.Errorf("got %v", err)
		}
	})
}

func TestHasGroupKnowsThoseWithMembersOrOffsets(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(t *testing.T, w env) {
		is := func(what string, want bool) {
			t.Helper()
			if got, err := kafka.HasGroup(timeoutContext(t), w.config(), w.group("readers")); err != nil || got != want {
				t.Errorf("%s: %v, %v", what, got, err)
			}
		}
		is("a group that never was", false)
		notes := &notebook{}
		group := run(t, w.groupConfig("readers"), notes)
		ready(t, group)
		is("a group with members", true)
		w.send(t, value("1"))
		notes.handles(t, "1")
		group.stop()
		is("a group with offsets", true)
	})
}
