package consumer_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"example.com/todo/platform/kafka"
	"example.com/todo/platform/kafka/internal/brokertest"
	"example.com/todo/platform/testenv"
)

func TestGroupReadsCommittedRecordsOnly(t *testing.T) {
	t.Parallel()
	brokertest.OnEachBroker(t, func(t *testing.T, w brokertest.Env) {
		committed, stable, open := w.WriteMixedTransactions(t)
		notes := &notebook{}
		group := run(t, groupConfig(w, "readers"), notes)
		notes.handles(t, committed...)
		wantLag(t, group, 0, 0, 0)
		testenv.Eventually(t, "the group's offset to move over what no reader is given", func() bool {
			offset, _ := committedOffset(t, w, w.Group("readers"))
			return offset == stable
		})
		ends, err := group.LogEndOffsets(brokertest.TimeoutContext(t))
		if diff := cmp.Diff(map[int32]int64{0: stable, 1: 0, 2: 0}, ends); diff != "" || err != nil {
			t.Errorf("%v, ends (-want +got):\n%s", err, diff)
		}

		open.End(kgo.TryCommit)
		notes.handles(t, append(committed, "open", "plain 3")...)
		testenv.Eventually(t, "the group's offset to move over the last marker", func() bool {
			offset, _ := committedOffset(t, w, w.Group("readers"))
			return offset == w.Ends(t, w.Topic)[0]
		})
		wantLag(t, group, 0, 0, 0)
	})
}

func TestSkipObserverIsToldOfOffsetsWithoutRecords(t *testing.T) {
	t.Parallel()
	for name, write := range map[string]func(brokertest.TransactionalProducer){
		"the marker of a commit": func(x brokertest.TransactionalProducer) { x.Begin("0"); x.End(kgo.TryCommit) },
		"nothing but aborted":    func(x brokertest.TransactionalProducer) { x.Begin("x", "y"); x.End(kgo.TryAbort) },
		"several transactions' ends": func(x brokertest.TransactionalProducer) {
			x.Begin("0")
			x.End(kgo.TryCommit)
			x.Begin("x")
			x.End(kgo.TryAbort)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			brokertest.OnEachBroker(t, func(t *testing.T, w brokertest.Env) {
				write(w.Transactions(t, "one"))
				end := w.Ends(t, w.Topic)[0]
				f := &skipObserver{}
				group := run(t, groupConfig(w, "readers"), f)
				testenv.Eventually(t, "the stored offset to follow", func() bool { return f.stored() == end })
				wantLag(t, group, 0, 0, 0)
				group.stop()
				again := run(t, groupConfig(w, "readers"), f)
				w.Send(t, brokertest.Value("next"))
				testenv.Eventually(t, "the next record", func() bool { return f.stored() == end+1 })
				again.stop()
			})
		})
	}
}

// The position must not move past records that are written later.
func TestGroupHandlesARecordBehindAGap(t *testing.T) {
	t.Parallel()
	brokertest.OnEachBroker(t, func(t *testing.T, w brokertest.Env) {
		notes := &notebook{}
		group := run(t, groupConfig(w, "readers"), notes)
		ready(t, group)
		x := w.Transactions(t, "one")
		var want []string
		for _, text := range []string{"a", "b", "c", "d"} {
			x.Begin("aborted")
			x.End(kgo.TryAbort)
			x.Begin(text)
			x.End(kgo.TryCommit)
			want = append(want, text)
		}
		notes.handles(t, want...)
		wantLag(t, group, 0, 0, 0)
		notes.handles(t, want...)
	})
}

func TestGroupSkipsBatchesThatCompactionEmptied(t *testing.T) {
	t.Parallel()
	w := brokertest.NewFakeEnv(t)
	w.Send(t, brokertest.Value("0"), brokertest.Value("1"), brokertest.Value("2"), brokertest.Value("3"))
	w.RespondWithEmptyBatch(0, 4)
	f := &skipObserver{}
	group := run(t, groupConfig(w, "readers"), f)
	testenv.Eventually(t, "the stored offset to follow", func() bool { return f.stored() == 4 })
	wantLag(t, group, 0, 0, 0)
	w.Send(t, brokertest.Value("4"))
	f.handles(t, "4")
}

// An earlier version read uncommitted, so its offset may lie in an open transaction.
func TestGroupKeepsACommittedOffsetInsideAnOpenTransaction(t *testing.T) {
	t.Parallel()
	brokertest.OnEachBroker(t, func(t *testing.T, w brokertest.Env) {
		w.Send(t, brokertest.Value("0"), brokertest.Value("1"))
		x := w.Transactions(t, "one")
		x.Begin("2", "3", "4")
		commit(t, w, w.Group("readers"), 4, "")
		notes := &notebook{}
		ready(t, run(t, groupConfig(w, "readers"), notes))
		x.End(kgo.TryCommit)
		notes.handles(t, "4")
	})
}

func TestStartOffsetGetsTheLastStableOffset(t *testing.T) {
	t.Parallel()
	brokertest.OnEachBroker(t, func(t *testing.T, w brokertest.Env) {
		w.Send(t, brokertest.Value("0"))
		w.Transactions(t, "one").Begin("1", "2")
		newest := make(chan int64, 10)
		group := run(t, groupConfig(w, "readers"), &newestRecorder{notebook: &notebook{}, ends: newest})
		ready(t, group)
		if end := <-newest; end != 1 {
			t.Errorf("the log ends at %d, want 1", end)
		}
	})
}

// newestRecorder is an OffsetStore without offsets that keeps the log ends of partition 0.
type newestRecorder struct {
	*notebook
	ends chan int64
}

func (l *newestRecorder) StartOffset(_ context.Context, partition int32, log kafka.PartitionLog) (int64, error) {
	if partition == 0 {
		l.ends <- log.End
	}
	return -1, nil
}

func TestGroupReadsOnAtOnceAfterBatchesWithoutRecords(t *testing.T) {
	t.Parallel()
	w := brokertest.NewFakeEnv(t)
	const batches = 300
	w.Send(t, values("", batches+1)...)
	w.OnFetch(func(asked kmsg.FetchRequestTopicPartition) *kmsg.FetchResponseTopicPartition {
		if asked.FetchOffset >= batches {
			return nil
		}
		empty := kmsg.NewFetchResponseTopicPartition()
		empty.HighWatermark, empty.LastStableOffset = batches+1, batches+1
		empty.RecordBatches = brokertest.EncodeBatch(asked.FetchOffset, kgo.NoCompression())
		copy(empty.RecordBatches[23:], []byte{0, 0, 0, 0}) // its last offset is its first
		brokertest.SetChecksum(empty.RecordBatches)
		return &empty
	})
	notes := &notebook{}
	run(t, groupConfig(w, "readers"), notes)
	notes.handles(t, fmt.Sprint(batches))
}
