package reader_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"example.com/todo/platform/kafka"
	"example.com/todo/platform/kafka/internal/brokertest"
	"example.com/todo/platform/kafka/reader"
)

func TestOffsetsSinceSkipOlderRecords(t *testing.T) {
	t.Parallel()
	brokertest.OnEachBroker(t, func(t *testing.T, w brokertest.Env) {
		noon := time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)
		at := func(partition int32, hours int) *kgo.Record {
			return &kgo.Record{Partition: partition, Value: []byte("x"), Timestamp: noon.Add(time.Duration(hours) * time.Hour)}
		}
		w.Send(t, at(0, -2), at(0, -1), at(0, 0), at(0, -3), at(0, 1), at(1, -1))
		offsets, err := reader.OffsetsSince(brokertest.TimeoutContext(t), w.Config(), w.Topic, noon)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[int32]int64{0: 2, 1: 1, 2: 0}, offsets); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		_, err = reader.OffsetsSince(brokertest.TimeoutContext(t), w.Config(), w.Topic+"-none", noon)
		var missing *kafka.TopicError
		if !errors.As(err, &missing) {
			t.Errorf("got %v", err)
		}
	})
}
