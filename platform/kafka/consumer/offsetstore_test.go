package consumer_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"example.com/todo/platform/kafka"
	"example.com/todo/platform/kafka/consumer"
	"example.com/todo/platform/kafka/internal/brokertest"
	"example.com/todo/platform/testenv"
)

// offsetStore is an OffsetStore of partition 0, fenced at any other offset than the next.
type offsetStore struct {
	notebook
	mu     sync.Mutex
	next   int64
	asked  int
	broken int // how many times StartOffset fails first
}

func (l *offsetStore) StartOffset(_ context.Context, partition int32, log kafka.PartitionLog) (int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if partition != 0 {
		return -1, nil
	}
	l.asked++
	if l.asked <= l.broken {
		return 0, errors.New("the store is unavailable")
	}
	if log.Oldest > log.End {
		return 0, fmt.Errorf("the log goes from %d to %d", log.Oldest, log.End)
	}
	return l.next, nil
}

func (l *offsetStore) Handle(ctx context.Context, batch []kafka.Record) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if batch[0].Partition == 0 {
		if batch[0].Offset != l.next {
			return 0, fmt.Errorf("%w: at %d", consumer.ErrFenced, l.next)
		}
		l.next = batch[len(batch)-1].Offset + 1
	}
	return l.notebook.Handle(ctx, batch)
}

func (l *offsetStore) move(next int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.next = next
}

// readAll runs the group until it has committed the end of the log.
func readAll(t *testing.T, w brokertest.Env, want ...string) {
	t.Helper()
	notes := &notebook{}
	group := run(t, groupConfig(w, "readers"), notes)
	notes.handles(t, want...)
	group.stop()
}

func TestTheStoredOffsetDecidesWhereToBegin(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		committed bool
		start     int64
		want      []string
	}{
		"below the group's offset":           {true, 1, []string{"1", "2", "3", "new"}},
		"at the group's offset":              {true, 4, []string{"new"}},
		"at the log's start":                 {true, 0, []string{"0", "1", "2", "3", "new"}},
		"above a group without an offset":    {false, 3, []string{"3", "new"}},
		"no stored offset, no committed one": {false, -1, []string{"0", "1", "2", "3", "new"}},
		"no stored offset":                   {true, -1, []string{"new"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			brokertest.OnEachBroker(t, func(t *testing.T, w brokertest.Env) {
				w.Send(t, brokertest.Value("0"), brokertest.Value("1"), brokertest.Value("2"), brokertest.Value("3"))
				if test.committed {
					readAll(t, w, "0", "1", "2", "3")
				}
				w.Send(t, brokertest.Value("new"))
				l := &startAt{start: test.start}
				run(t, groupConfig(w, "readers"), l)
				l.handles(t, test.want...)
			})
		})
	}
}

// startAt is an OffsetStore that always answers the same offset.
type startAt struct {
	notebook
	start int64
}

func (s *startAt) StartOffset(_ context.Context, partition int32, _ kafka.PartitionLog) (int64, error) {
	if partition != 0 {
		return -1, nil
	}
	return s.start, nil
}

func TestAFencedHandlerContinuesAtItsStoredOffset(t *testing.T) {
	t.Parallel()
	brokertest.OnEachBroker(t, func(t *testing.T, w brokertest.Env) {
		w.Send(t, brokertest.Value("0"), brokertest.Value("1"), brokertest.Value("2"))
		l := &offsetStore{}
		run(t, groupConfig(w, "readers"), l)
		l.handles(t, "0", "1", "2")
		l.move(1) // the store loses the last two
		w.Send(t, brokertest.Value("3"))
		l.handles(t, "0", "1", "2", "1", "2", "3")
	})
}

func TestIdleGroupContinuesAtAStoredOffsetThatMoved(t *testing.T) {
	t.Parallel()
	brokertest.OnEachBroker(t, func(t *testing.T, w brokertest.Env) {
		w.Send(t, brokertest.Value("0"), brokertest.Value("1"))
		l := &offsetStore{}
		run(t, groupConfig(w, "readers"), l)
		l.handles(t, "0", "1")
		l.move(0)
		l.handles(t, "0", "1", "0", "1")
	})
}

func TestSessionRetriesAFailingOffsetStore(t *testing.T) {
	t.Parallel()
	w := brokertest.NewFakeEnv(t)
	w.Send(t, brokertest.Value("0"))
	l := &offsetStore{broken: 3}
	run(t, groupConfig(w, "readers"), l)
	l.handles(t, "0")
}

// Continuing there would skip records that were never handled.
func TestAStoredOffsetBeyondTheLogHoldsTheGroup(t *testing.T) {
	t.Parallel()
	w := brokertest.NewFakeEnv(t)
	w.Send(t, brokertest.Value("0"))
	l := &offsetStore{next: 2}
	group := run(t, groupConfig(w, "readers"), l)
	testenv.Eventually(t, "a few attempts", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.asked > 2
	})
	if l.count() != 0 || group.Ready(t.Context()) == nil {
		t.Errorf("%d handled, ready: %v", l.count(), group.Ready(t.Context()))
	}
	l.move(0)
	l.handles(t, "0")
}

func TestGroupCountsRecordsDeletedBeforeItReadThem(t *testing.T) {
	t.Parallel()
	brokertest.OnEachBroker(t, func(t *testing.T, w brokertest.Env) {
		w.Send(t, brokertest.Value("0"))
		readAll(t, w, "0")
		w.Send(t, brokertest.Value("1"), brokertest.Value("2"), brokertest.Value("3"))
		w.DeleteBelow(t, map[int32]int64{0: 3})
		notes := &notebook{}
		group := run(t, groupConfig(w, "readers"), notes)
		notes.handles(t, "3")
		wantMetric(t, group, `kafka_consumer_lost_records_total{}`, 2)
	})
}

func TestGroupCountsRecordsDeletedDuringASession(t *testing.T) {
	t.Parallel()
	brokertest.OnEachBroker(t, func(t *testing.T, w brokertest.Env) {
		const count = 30
		noise := make([]byte, 500_000) // that can not be compressed, and is more than is read ahead
		_, _ = rand.Read(noise)
		for range count {
			w.Send(t, &kgo.Record{Value: noise})
		}
		begun, goOn := make(chan struct{}), make(chan struct{})
		notes := &notebook{}
		group := run(t, groupConfig(w, "readers"), handlerFunc(func(ctx context.Context, batch []kafka.Record) (int, error) {
			select {
			case begun <- struct{}{}:
				<-goOn
			case <-goOn:
			}
			return notes.Handle(ctx, batch)
		}))
		<-begun
		w.DeleteBelow(t, map[int32]int64{0: count - 1})
		close(goOn)
		gone := func() float64 { return metric(t, group, `kafka_consumer_lost_records_total{}`) }
		testenv.Eventually(t, "the last record", func() bool { return gone() > 0 && notes.count() == count-int(gone()) })
		if last := notes.records[notes.count()-1]; last.Offset != count-1 {
			t.Errorf("the last record handled is %d", last.Offset)
		}
	})
}

func TestACommittedOffsetBeyondTheLogBeginsAtTheStart(t *testing.T) {
	t.Parallel()
	brokertest.OnEachBroker(t, func(t *testing.T, w brokertest.Env) {
		w.Send(t, brokertest.Value("0"))
		commit(t, w, w.Group("readers"), 50, "")
		notes := &notebook{}
		run(t, groupConfig(w, "readers"), notes)
		notes.handles(t, "0")
	})
}

// commit sets the offset of a group without members in partition 0.
func commit(t *testing.T, w brokertest.Env, group string, offset int64, metadata string) {
	t.Helper()
	offsets := make(kadm.Offsets)
	offsets.Add(kadm.Offset{Topic: w.Topic, At: offset, LeaderEpoch: -1, Metadata: metadata})
	if err := w.Admin(t).CommitAllOffsets(brokertest.TimeoutContext(t), group, offsets); err != nil {
		t.Fatal(err)
	}
}
