package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/twmb/franz-go/pkg/kgo"

	"example.com/todo/platform/kafka"
	"example.com/todo/platform/kafka/internal/brokertest"
	"example.com/todo/platform/testenv"
)

const lagName = "kafka_consumer_lag_records"

// wantLag waits for this lag of each partition, from 0 on.
func wantLag(t *testing.T, g *runningGroup, want ...float64) {
	t.Helper()
	testenv.Eventually(t, fmt.Sprint("a lag of ", want), func() bool {
		count, err := testutil.GatherAndCount(g.registry, lagName)
		if err != nil || count != len(want) {
			return false
		}
		for partition, records := range want {
			if metric(t, g, fmt.Sprintf("%s{partition=%q}", lagName, fmt.Sprint(partition))) != records {
				return false
			}
		}
		return true
	})
}

func TestLagGrowsWhileItsPartitionIsHeld(t *testing.T) {
	t.Parallel()
	brokertest.OnEachBroker(t, func(t *testing.T, w brokertest.Env) {
		var away, attempts atomic.Int32
		away.Store(1)
		group := run(t, groupConfig(w, "readers"), handlerFunc(func(_ context.Context, batch []kafka.Record) (int, error) {
			if attempts.Add(1); away.Load() == 1 && batch[0].Partition == 0 {
				return 0, errors.New("the store is unavailable")
			}
			return len(batch), nil
		}))
		w.Send(t, brokertest.Value("held"), &kgo.Record{Partition: 1, Value: []byte("free")})
		testenv.Eventually(t, "the record to be held", func() bool { return attempts.Load() > 2 })
		wantLag(t, group, 1, 0, 0)
		w.Send(t, brokertest.Value("2"), brokertest.Value("3"))
		wantLag(t, group, 3, 0, 0)
		away.Store(0)
		wantLag(t, group, 0, 0, 0)
		group.stop()
		wantLag(t, group)
	})
}
