package consumer

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/todo/platform/kafka"
	"example.com/todo/platform/kafka/consumer/quarantine"
)

// memoryStore is a quarantine.Store in memory.
type memoryStore struct {
	mu     sync.Mutex
	states map[int32]string
	swaps  int
}

func (s *memoryStore) Load(_ context.Context, partition int32) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.states[partition], nil
}

func (s *memoryStore) CompareAndSwap(_ context.Context, partition int32, old, next string) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.swaps++
	if s.states[partition] != old {
		return false, nil
	}
	if s.states == nil {
		s.states = map[int32]string{}
	}
	if s.states[partition] = next; next == "" {
		delete(s.states, partition)
	}
	return true, nil
}

// count returns how many states there are, and how often they were swapped.
func (s *memoryStore) count() (states, swaps int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.states), s.swaps
}

func (s *memoryStore) flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.states)
}

// state returns the state of partition 0 without what differs each time.
func (s *memoryStore) state(t *testing.T) (m quarantine.State) {
	t.Helper()
	text, _ := s.Load(t.Context(), 0)
	if text == "" {
		return quarantine.State{}
	}
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		t.Fatal(err)
	}
	m.Owner, m.Revision, m.Incarnation = "", 0, ""
	return m
}

// flakyStore is the store as one process reaches it.
type flakyStore struct {
	*memoryStore
	unreachable atomic.Bool // no request arrives
	loseReplies atomic.Bool // a swap takes effect, but its reply is lost
}

var errUnreachable = errors.New("the store is unavailable")

func (w *flakyStore) Load(ctx context.Context, partition int32) (string, error) {
	if w.unreachable.Load() {
		return "", errUnreachable
	}
	return w.memoryStore.Load(ctx, partition)
}

func (w *flakyStore) CompareAndSwap(ctx context.Context, partition int32, old, next string) (bool, error) {
	if w.unreachable.Load() {
		return false, errUnreachable
	}
	swapped, err := w.memoryStore.CompareAndSwap(ctx, partition, old, next)
	if w.loseReplies.Load() {
		return false, errUnreachable
	}
	return swapped, err
}

// testProcess reads records from partition 0 until it is killed.
type testProcess struct {
	*runningConsumer
	store *flakyStore
	calls [][]int64 // what the handler was given
}

// startProcess starts a process whose handler calls act with the offsets of each batch.
// An act that crashes the process blocks until the test ends.
func startProcess(t *testing.T, s *memoryStore, act func(offsets []int64) error, offsets ...int64) *testProcess {
	t.Helper()
	return startProcessLogging(t, slog.New(slog.DiscardHandler), s, act, offsets...)
}

// startProcessLogging is startProcess with a logger.
func startProcessLogging(t *testing.T, log *slog.Logger, s *memoryStore, act func(offsets []int64) error, offsets ...int64) *testProcess {
	t.Helper()
	p := &testProcess{store: &flakyStore{memoryStore: s}}
	group := newTestGroup(scriptedHandler{handle: func(_ context.Context, batch []kafka.Record) (int, error) {
		var given []int64
		for _, record := range batch {
			given = append(given, record.Offset)
		}
		p.calls = append(p.calls, given)
		if err := act(given); err != nil {
			return 0, err
		}
		return len(batch), nil
	}}, p.store)
	group.log = log
	p.runningConsumer = startConsumerIn(t, group, 0, offsets...)
	synctest.Wait()
	return p
}

// kill ends the process without any update of the store.
func (p *testProcess) kill() {
	p.store.unreachable.Store(true)
	p.endSession()
}

// hangOn returns an act that crashes the process if the batch has the record.
func hangOn(t *testing.T, record int64) func([]int64) error {
	return func(offsets []int64) error {
		if slices.Contains(offsets, record) {
			<-t.Context().Done()
		}
		return nil
	}
}

func TestConsumerHandlesABatchInFlightAtACrashOneByOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &memoryStore{}
		startProcess(t, s, hangOn(t, 11), 10, 11, 12).kill()
		next := startProcess(t, s, func([]int64) error { return nil }, 10, 11, 12, 13, 14)
		if diff := cmp.Diff([][]int64{{10}, {11}, {12}, {13, 14}}, next.calls); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		next.endSession()
		ended, err := next.ended()
		if states, _ := s.count(); !ended || err != nil || states > 0 {
			t.Errorf("ended: %v with %v; it left %d states", ended, err, states)
		}
	})
}

func TestConsumerDeadLettersARecordAfterFiveCrashesAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &memoryStore{}
		startProcess(t, s, hangOn(t, 11), 10, 11, 12).kill()
		for crash := range quarantine.MaxCrashes {
			p := startProcess(t, s, hangOn(t, 11), 10, 11, 12)
			if diff := cmp.Diff([][]int64{{10}, {11}}, p.calls); diff != "" {
				t.Fatalf("crash %d (-want +got):\n%s", crash+1, diff)
			}
			p.kill()
		}
		p := startProcess(t, s, hangOn(t, 11), 10, 11, 12)
		// Without a broker the dead letter is never acknowledged, so its record is held.
		if diff := cmp.Diff([][]int64{{10}}, p.calls); diff != "" || p.lastCommitted() != 11 {
			t.Errorf("committed %v, calls (-want +got):\n%s", p.committed, diff)
		}
		if got := p.tracker.AttemptsOf(kafka.Record{Offset: 11}); got != quarantine.MaxCrashes {
			t.Errorf("%d attempts, want %d", got, quarantine.MaxCrashes)
		}
	})
}

// Only crashes while the handler has the record count.
func TestCrashesWhileARecordIsHeldDoNotCount(t *testing.T) {
	t.Parallel()
	for name, offsets := range map[string][]int64{"alone": {10}, "in a batch": {10, 11}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &memoryStore{}
				for range 3 * quarantine.MaxCrashes {
					p := startProcess(t, s, func([]int64) error { return errors.New("the webhook is unavailable") }, offsets...)
					advanceClock(3 * time.Second)
					p.kill()
					if m := s.state(t); len(m.Crashes) > 0 || !m.InFlight.IsEmpty() {
						t.Errorf("a handler that returned left %+v", m)
					}
				}
				p := startProcess(t, s, func([]int64) error { return nil }, offsets...)
				if want := offsets[len(offsets)-1] + 1; p.lastCommitted() != want {
					t.Errorf("committed %v, want %d", p.committed, want)
				}
			})
		})
	}
}

func TestAFailureForgetsTheCrashesBefore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &memoryStore{}
		for range 3 {
			for range quarantine.MaxCrashes - 1 {
				startProcess(t, s, hangOn(t, 10), 10).kill()
			}
			startProcess(t, s, func([]int64) error { return errors.New("the webhook is unavailable") }, 10).kill()
		}
		p := startProcess(t, s, func([]int64) error { return nil }, 10)
		if p.lastCommitted() != 11 {
			t.Errorf("committed %v, want 11", p.committed)
		}
	})
}

func TestASuspectThatIsHandledIsCleared(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &memoryStore{}
		startProcess(t, s, hangOn(t, 10), 10).kill()
		startProcess(t, s, func([]int64) error { return nil }, 10).kill()
		if m := s.state(t); !m.InFlight.IsEmpty() || len(m.Crashes) > 0 {
			t.Errorf("the handled record left %+v", m)
		}
	})
}

// A record that is in flight when another partition's record crashes the process collects
// no crashes.
func TestARecordThatCrashedOnceIsHandledExclusively(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &memoryStore{}
		startProcess(t, s, hangOn(t, 10), 10).kill()
		finish := make(chan struct{})
		var calls []int32
		group := newTestGroup(scriptedHandler{handle: func(_ context.Context, batch []kafka.Record) (int, error) {
			calls = append(calls, batch[0].Partition)
			if batch[0].Partition == 1 && len(calls) == 1 {
				<-finish
			}
			return len(batch), nil
		}}, &flakyStore{memoryStore: s})
		startConsumerIn(t, group, 1, 10)
		synctest.Wait()
		suspect := startConsumerIn(t, group, 0, 10)
		synctest.Wait()
		if m := s.state(t); len(calls) != 1 || !m.InFlight.IsEmpty() {
			t.Errorf("calls for the partitions %v; %+v", calls, m)
		}
		close(finish)
		synctest.Wait()
		if diff := cmp.Diff([]int32{1, 0}, calls); diff != "" || suspect.lastCommitted() != 11 {
			t.Errorf("committed %v, calls for the partitions (-want +got):\n%s", suspect.committed, diff)
		}
	})
}

// The process was frozen with a batch in flight and resumes after the takeover.
func TestTrackerEndsTheSessionWhenAnotherMemberAcquiredThePartition(t *testing.T) {
	t.Parallel()
	for name, outcome := range map[string]error{"it succeeds": nil, "it fails": errors.New("too late")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &memoryStore{}
				resume := make(chan struct{})
				frozen := startProcess(t, s, func([]int64) error { <-resume; return outcome }, 10)
				frozen.send(11, 12)
				owner := startProcess(t, s, hangOn(t, 10), 10, 11, 12)
				want := quarantine.State{InFlight: quarantine.OffsetRange{From: 10, To: 11}, Suspects: quarantine.OffsetRange{From: 10, To: 11}, Crashes: map[int64]int{10: 1}}
				if diff := cmp.Diff(want, s.state(t)); diff != "" {
					t.Errorf("the owner's state (-want +got):\n%s", diff)
				}
				close(resume)
				advanceClock(time.Minute / 2)
				if ended, err := frozen.ended(); !ended || !errors.Is(err, quarantine.ErrLostOwnership) {
					t.Errorf("the frozen process ended: %v with %v", ended, err)
				}
				if diff := cmp.Diff(want, s.state(t)); diff != "" {
					t.Errorf("after the frozen process resumed (-want +got):\n%s", diff)
				}
				owner.kill()
			})
		})
	}
}

func TestConsumerHoldsThePartitionWhileTheStoreIsUnavailable(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &memoryStore{}
		startProcess(t, s, hangOn(t, 10), 10).kill()
		p := startProcess(t, s, func([]int64) error { return nil })
		p.store.unreachable.Store(true)
		p.send(10, 11)
		advanceClock(time.Minute)
		if len(p.calls) > 0 || len(p.committed) > 0 {
			t.Errorf("calls %v, committed %v", p.calls, p.committed)
		}
		p.store.unreachable.Store(false)
		advanceClock(2 * retryBackoff.Max)
		if diff := cmp.Diff([][]int64{{10}, {11}}, p.calls); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if got := p.tracker.AttemptsOf(kafka.Record{Offset: 10}); got != 0 {
			t.Errorf("%d attempts of a record that was not begun", got)
		}
	})
}

func TestTrackerResolvesALostReplyOfTheStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &memoryStore{}
		p := startProcess(t, s, func([]int64) error { return nil }, 10)
		p.store.loseReplies.Store(true)
		p.send(11)
		advanceClock(3 * time.Second)
		p.store.loseReplies.Store(false)
		advanceClock(2 * retryBackoff.Max)
		if ended, err := p.ended(); ended || p.lastCommitted() != 12 {
			t.Errorf("ended: %v with %v, committed %v", ended, err, p.committed)
		}
	})
}

func TestTrackerEndsTheSessionWhenTheStoreWasEmptied(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &memoryStore{}
		p := startProcess(t, s, func([]int64) error { return nil }, 10)
		s.flush()
		p.send(11)
		if ended, err := p.ended(); !ended || !errors.Is(err, quarantine.ErrLostOwnership) {
			t.Errorf("ended: %v with %v", ended, err)
		}
		next := startProcess(t, s, func([]int64) error { return nil }, 11)
		if next.lastCommitted() != 12 {
			t.Errorf("committed %v, want 12", next.committed)
		}
	})
}

func TestABatchCostsOneCompareAndSwap(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &memoryStore{}
		p := startProcess(t, s, func([]int64) error { return nil })
		for i := range int64(20) {
			p.send(10+2*i, 11+2*i)
			synctest.Wait()
		}
		if _, swaps := s.count(); len(p.calls) != swaps {
			t.Errorf("%d swaps for %d batches", swaps, len(p.calls))
		}
		advanceClock(2 * idleInterval)
		if states, _ := s.count(); states > 0 {
			t.Errorf("an idle partition left %d states", states)
		}
	})
}

func TestAcquireLogsACorruptStateAndKeepsItsPossiblePart(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"text":                    "10-12",
		"a list":                  "[]",
		"another type":            `{"in_hand":"10-12"}`,
		"cut off":                 `{"holder":"x","in_hand":{"from":10`,
		"crashes to come":         `{"holder":"x","deaths":{"103":5,"104":4611686018427387904}}`,
		"suspected without end":   `{"holder":"x","in_hand":{"from":10,"to":11},"suspects":{"from":0,"to":9223372036854775807}}`,
		"failing without end":     `{"holder":"x","suspects":{"from":-5,"to":9223372036854775807},"failing":200,"attempts":5,"panics":5}`,
		"in flight without end":   `{"holder":"x","in_hand":{"from":0,"to":9223372036854775807}}`,
		"impossible crash counts": `{"holder":"x","deaths":{"10":1000000,"11":-1}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &memoryStore{states: map[int32]string{0: text}}
				log := &strings.Builder{}
				p := startProcessLogging(t, slog.New(slog.NewTextHandler(log, nil)), s, func([]int64) error { return nil }, 10, 11, 101, 102)
				// Records after the stored state are handled as if there were none.
				atOnce := func(given []int64) bool { return len(given) > 1 && given[len(given)-2] == 101 }
				if p.lastCommitted() != 103 || !slices.ContainsFunc(p.calls, atOnce) {
					t.Errorf("committed %v, and the handler was given %v, want 101 and 102 at once", p.committed, p.calls)
				}
				p.send(103, 104)
				synctest.Wait()
				if p.lastCommitted() != 105 {
					t.Errorf("committed %v, want 105", p.committed)
				}
				p.endSession()
				if ended, err := p.ended(); !ended || err != nil {
					t.Fatalf("ended: %t with %v", ended, err)
				}
				if states, _ := s.count(); states > 0 {
					t.Errorf("a state is left: %v", s.states)
				}
				if got := strings.Count(log.String(), "level=ERROR"); got != 1 {
					t.Errorf("%d errors in the log: %s", got, log)
				}
			})
		})
	}
}

// conflictingStore is a store in which another member always wins.
type conflictingStore struct{}

func (conflictingStore) Load(context.Context, int32) (string, error) {
	return `{"holder":"another"}`, nil
}

func (conflictingStore) CompareAndSwap(context.Context, int32, string, string) (bool, error) {
	return false, nil
}

func TestConsumerEndsTheSessionWhenAnotherMemberWinsTheAcquisition(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		group := newTestGroup(scriptedHandler{handle: func(context.Context, []kafka.Record) (int, error) {
			t.Error("it handled a record of another member")
			return 1, nil
		}}, conflictingStore{})
		p := startConsumerIn(t, group, 0, 10)
		synctest.Wait()
		if ended, err := p.ended(); !ended || !errors.Is(err, quarantine.ErrLostOwnership) {
			t.Errorf("ended: %t with %v", ended, err)
		}
	})
}
