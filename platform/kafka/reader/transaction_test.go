package reader_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"example.com/todo/platform/kafka/internal/brokertest"
	"example.com/todo/platform/kafka/reader"
)

func TestScanHandsOverCommittedRecordsOnly(t *testing.T) {
	t.Parallel()
	brokertest.OnEachBroker(t, func(t *testing.T, w brokertest.Env) {
		committed, stable, open := w.WriteMixedTransactions(t)
		seen, next := scan(t, w, nil)
		var values []string
		for _, record := range seen.records[0] {
			values = append(values, string(record.Value))
		}
		if diff := cmp.Diff(committed, values); diff != "" || next[0] != stable {
			t.Errorf("goes on at %d, want %d (-want +got):\n%s", next[0], stable, diff)
		}
		if diff := cmp.Diff(map[int32][]int64{0: {2, 4, 5, 7, 10}}, seen.offsets()); diff != "" {
			t.Errorf("offsets (-want +got):\n%s", diff)
		}
		open.End(kgo.TryAbort)
		rest, next := scan(t, w, next)
		if diff := cmp.Diff(map[int32][]int64{0: {16}}, rest.offsets()); diff != "" || next[0] != w.Ends(t, w.Topic)[0] {
			t.Errorf("the rest goes on at %d (-want +got):\n%s", next[0], diff)
		}
	})
}

// The scan begins inside a transaction that is aborted later.
func TestScanFromTheMiddleOfATransaction(t *testing.T) {
	t.Parallel()
	brokertest.OnEachBroker(t, func(t *testing.T, w brokertest.Env) {
		x := w.Transactions(t, "one")
		x.Begin("0", "1", "2")
		x.End(kgo.TryAbort)
		x.Begin("4", "5")
		x.End(kgo.TryCommit)
		for from, want := range map[int64][]int64{1: {4, 5}, 3: {4, 5}, 5: {5}, 6: nil, 7: nil} {
			seen, next := scan(t, w, map[int32]int64{0: from})
			if diff := cmp.Diff(want, seen.offsets()[0]); diff != "" || next[0] != 7 {
				t.Errorf("from %d goes on at %d (-want +got):\n%s", from, next[0], diff)
			}
		}
	})
}

func TestOffsetsSinceTheZeroTimeAreTheLogsStart(t *testing.T) {
	t.Parallel()
	brokertest.OnEachBroker(t, func(t *testing.T, w brokertest.Env) {
		w.Send(t, brokertest.Value("0"), brokertest.Value("1"), brokertest.Value("2"))
		w.DeleteBelow(t, map[int32]int64{0: 2})
		x := w.Transactions(t, "one")
		x.Begin("3")
		offsets, err := reader.OffsetsSince(brokertest.TimeoutContext(t), w.Config(), w.Topic, time.Time{})
		if diff := cmp.Diff(map[int32]int64{0: 2, 1: 0, 2: 0}, offsets); diff != "" || err != nil {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
	})
}
