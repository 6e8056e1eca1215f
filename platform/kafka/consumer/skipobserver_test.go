package consumer_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/todo/platform/kafka"
	"example.com/todo/platform/kafka/consumer"
	"example.com/todo/platform/kafka/internal/brokertest"
	"example.com/todo/platform/testenv"
)

// skipObserver is a SkipObserver that rejects rubbish and keeps the offsets that it got.
type skipObserver struct {
	offsetStore
	reported []int64
	broken   int // how many times Skipped fails first
}

func (f *skipObserver) Handle(ctx context.Context, batch []kafka.Record) (int, error) {
	for i, record := range batch {
		if string(record.Value) == "rubbish" {
			return i, consumer.Permanent(errors.New("rubbish"))
		}
		if handled, err := f.offsetStore.Handle(ctx, batch[i:i+1]); err != nil {
			return i + handled, err
		}
	}
	return len(batch), nil
}

func (f *skipObserver) Skipped(_ context.Context, partition int32, next int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if partition != 0 {
		return nil
	}
	f.reported = append(f.reported, next)
	if len(f.reported) <= f.broken {
		return errors.New("the store is unavailable")
	}
	f.next = next
	return nil
}

func (f *skipObserver) stored() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.next
}

func TestSkipObserverIsToldOfDeadLetters(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		broken int
		want   []int64
	}{
		"at once":               {0, []int64{2}},
		"later, when it failed": {1, []int64{2, 2}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := brokertest.NewFakeEnv(t)
			w.Send(t, brokertest.Value("0"))
			f := &skipObserver{broken: test.broken}
			group := run(t, groupConfig(w, "readers"), f)
			f.handles(t, "0")
			w.Send(t, brokertest.Value("rubbish"))
			testenv.Eventually(t, "the stored offset to follow", func() bool { return f.stored() == 2 })
			group.stop()
			if diff := cmp.Diff(test.want, f.reported); diff != "" {
				t.Errorf("reported (-want +got):\n%s", diff)
			}
			again := run(t, groupConfig(w, "readers"), f)
			w.Send(t, brokertest.Value("2"))
			f.handles(t, "0", "2")
			again.stop()
			if total := w.Total(t, w.DLQ); total != 1 {
				t.Errorf("%d dead letters, want 1", total)
			}
		})
	}
}

// No later Handle of the batch stores the offset of a dead letter before the held record.
func TestSkipObserverIsToldOfDeadLettersBeforeAHeldRecord(t *testing.T) {
	t.Parallel()
	w := brokertest.NewFakeEnv(t)
	w.Send(t, brokertest.Value("rubbish"), brokertest.Value("held"))
	f := &holder{}
	f.away.Store(true)
	group := run(t, groupConfig(w, "readers"), f)
	testenv.Eventually(t, "the record to be held", func() bool { return f.attempts.Load() > 0 })
	if offset := f.stored(); offset != 1 {
		t.Errorf("the stored offset is %d while the record after the dead letter is handled, want 1", offset)
	}
	group.stop()
	f.away.Store(false)
	run(t, groupConfig(w, "readers"), f)
	f.handles(t, "held")
	if total := w.Total(t, w.DLQ); total != 1 {
		t.Errorf("%d dead letters, want 1", total)
	}
}

// holder is a skipObserver whose store may be unavailable.
type holder struct {
	skipObserver
	away     atomic.Bool
	attempts atomic.Int32
}

func (h *holder) Handle(ctx context.Context, batch []kafka.Record) (int, error) {
	for i, record := range batch {
		if string(record.Value) == "held" && h.away.Load() {
			h.attempts.Add(1)
			return i, errors.New("the store is unavailable")
		}
		if _, err := h.skipObserver.Handle(ctx, batch[i:i+1]); err != nil {
			return i, err
		}
	}
	return len(batch), nil
}
