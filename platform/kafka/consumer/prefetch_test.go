package consumer_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"example.com/todo/platform/kafka"
	"example.com/todo/platform/kafka/internal/brokertest"
	"example.com/todo/platform/testenv"
)

// The fetches show what a held partition keeps in memory: they stop when there is no room.
func TestPrefetcherReadsNotFarAheadOfAHeldPartition(t *testing.T) {
	t.Parallel()
	w := brokertest.NewFakeEnv(t)
	const all = 40
	for range all {
		w.Send(t, &kgo.Record{Value: make([]byte, 900_000)})
	}
	var furthest, without atomic.Int64
	w.Fake.ControlKey(int16(kmsg.Fetch), func(request kmsg.Request) (kmsg.Response, error, bool) {
		w.Fake.KeepControl()
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
	run(t, groupConfig(w, "readers"), handlerFunc(func(context.Context, []kafka.Record) (int, error) {
		return 0, errors.New("the store is unavailable")
	}))
	testenv.Eventually(t, "the fetches to leave out the held partition", func() bool { return without.Load() > 3 || furthest.Load() == all })
	if got := furthest.Load(); got > 15 {
		t.Errorf("%d records of 900 kB were prefetched for a handler that handles none", got)
	}
}
