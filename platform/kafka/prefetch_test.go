package kafka_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"example.com/todo/platform/kafka"
)

// What a held partition keeps in memory can be told from the fetches: they go on
// only while there is room.
func TestAHeldPartitionIsNotReadFarAhead(t *testing.T) {
	t.Parallel()
	w := newFakeEnv(t)
	const all = 40
	for range all {
		w.send(t, &kgo.Record{Value: make([]byte, 900_000)})
	}
	var furthest, without atomic.Int64
	w.fake.ControlKey(int16(kmsg.Fetch), func(request kmsg.Request) (kmsg.Response, error, bool) {
		w.fake.KeepControl()
		without.Add(1)
		for _, topic := range request.(*kmsg.FetchRequest).Topics {
			for _, partition := range topic.Partitions {
				if partition.Partition == 0 {
					without.Store(0)
					furthest.Store(partition.FetchOffset)
				}
			}
		}
		return nil, nil, false
	})
	run(t, w.groupConfig("readers"), handlerFunc(func(context.Context, []kafka.Record) (int, error) {
		return 0, errors.New("the store is away")
	}))
	eventually(t, "the fetches to leave out the held partition", func() bool { return without.Load() > 3 || furthest.Load() == all })
	if got := furthest.Load(); got > 15 {
		t.Errorf("%d records of 900 kB were read ahead of a handler that took none", got)
	}
}
