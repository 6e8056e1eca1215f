package kafka

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
)

// slate is an Quarantine in memory.
type slate struct {
	mu    sync.Mutex
	marks map[int32]string
	swaps int
}

func (s *slate) Load(_ context.Context, partition int32) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.marks[partition], nil
}

func (s *slate) CompareAndSwap(_ context.Context, partition int32, old, next string) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.swaps++
	if s.marks[partition] != old {
		return false, nil
	}
	if s.marks == nil {
		s.marks = map[int32]string{}
	}
	if s.marks[partition] = next; next == "" {
		delete(s.marks, partition)
	}
	return true, nil
}

// count returns how many marks there are, and how often they were swapped.
func (s *slate) count() (marks, swaps int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.marks), s.swaps
}

func (s *slate) flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.marks)
}

// read returns what is noted about partition 0, without what changes each time.
func (s *slate) read(t *testing.T) (m mark) {
	t.Helper()
	text, _ := s.Load(t.Context(), 0)
	if text == "" {
		return mark{}
	}
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		t.Fatal(err)
	}
	m.Holder, m.Step, m.Origin = "", 0, ""
	return m
}

// wire is a process's way to the slate; it is cut when the process dies.
type wire struct {
	*slate
	cut  atomic.Bool // nothing arrives
	lost atomic.Bool // what is swapped is, but the answer is lost
}

var errCut = errors.New("the store is away")

func (w *wire) Load(ctx context.Context, partition int32) (string, error) {
	if w.cut.Load() {
		return "", errCut
	}
	return w.slate.Load(ctx, partition)
}

func (w *wire) CompareAndSwap(ctx context.Context, partition int32, old, next string) (bool, error) {
	if w.cut.Load() {
		return false, errCut
	}
	swapped, err := w.slate.CompareAndSwap(ctx, partition, old, next)
	if w.lost.Load() {
		return false, errCut
	}
	return swapped, err
}

// process reads records from partition 0 until it is killed.
type process struct {
	*played
	wire  *wire
	calls [][]int64 // what the handler was given
}

// born starts a process. What its handler does with a batch, act decides; an
// act that kills does not return while the test lasts.
func born(t *testing.T, s *slate, act func(offsets []int64) error, offsets ...int64) *process {
	t.Helper()
	return bornWith(t, slog.New(slog.DiscardHandler), s, act, offsets...)
}

// bornWith is born with a log.
func bornWith(t *testing.T, log *slog.Logger, s *slate, act func(offsets []int64) error, offsets ...int64) *process {
	t.Helper()
	p := &process{wire: &wire{slate: s}}
	group := newTestGroup(script{handle: func(_ context.Context, batch []Record) (int, error) {
		var given []int64
		for _, record := range batch {
			given = append(given, record.Offset)
		}
		p.calls = append(p.calls, given)
		if err := act(given); err != nil {
			return 0, err
		}
		return len(batch), nil
	}}, p.wire)
	group.log = log
	p.played = playIn(t, group, 0, offsets...)
	synctest.Wait()
	return p
}

// kill leaves everything as it is.
func (p *process) kill() {
	p.wire.cut.Store(true)
	p.end()
}

// deadly makes an act of which a process dies when it is given the record.
func deadly(t *testing.T, record int64) func([]int64) error {
	return func(offsets []int64) error {
		if slices.Contains(offsets, record) {
			<-t.Context().Done()
		}
		return nil
	}
}

func TestABatchLeftInHandIsHandledOneByOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &slate{}
		born(t, s, deadly(t, 11), 10, 11, 12).kill()
		next := born(t, s, func([]int64) error { return nil }, 10, 11, 12, 13, 14)
		if diff := cmp.Diff([][]int64{{10}, {11}, {12}, {13, 14}}, next.calls); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		next.end()
		ended, err := next.over()
		if marks, _ := s.count(); !ended || err != nil || marks > 0 {
			t.Errorf("ended: %v with %v; it left %d marks", ended, err, marks)
		}
	})
}

func TestARecordIsCondemnedByFiveDeathsAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &slate{}
		born(t, s, deadly(t, 11), 10, 11, 12).kill()
		for death := range deathsAllowed {
			p := born(t, s, deadly(t, 11), 10, 11, 12)
			if diff := cmp.Diff([][]int64{{10}, {11}}, p.calls); diff != "" {
				t.Fatalf("death %d (-want +got):\n%s", death+1, diff)
			}
			p.kill()
		}
		p := born(t, s, deadly(t, 11), 10, 11, 12)
		// Without a Kafka the dead letter is never acknowledged, so its record is held.
		if diff := cmp.Diff([][]int64{{10}}, p.calls); diff != "" || p.last() != 11 {
			t.Errorf("marked %v, calls (-want +got):\n%s", p.marked, diff)
		}
		if got := p.hand.tries(Record{Offset: 11}); got != deathsAllowed {
			t.Errorf("%d attempts, want %d", got, deathsAllowed)
		}
	})
}

// The deaths that count are those while the handler has the record in hand: it
// returned, so it lives.
func TestDeathsWhileARecordIsHeldDoNotCount(t *testing.T) {
	t.Parallel()
	for name, offsets := range map[string][]int64{"alone": {10}, "in a batch": {10, 11}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &slate{}
				for range 3 * deathsAllowed {
					p := born(t, s, func([]int64) error { return errors.New("the webhook is away") }, offsets...)
					later(3 * time.Second)
					p.kill()
					if m := s.read(t); len(m.Deaths) > 0 || !m.InHand.empty() {
						t.Errorf("a handler that returned left %+v", m)
					}
				}
				p := born(t, s, func([]int64) error { return nil }, offsets...)
				if want := offsets[len(offsets)-1] + 1; p.last() != want {
					t.Errorf("marked %v, want %d", p.marked, want)
				}
			})
		})
	}
}

func TestAFailureTakesBackTheDeathsBefore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &slate{}
		for range 3 {
			for range deathsAllowed - 1 {
				born(t, s, deadly(t, 10), 10).kill()
			}
			born(t, s, func([]int64) error { return errors.New("the webhook is away") }, 10).kill()
		}
		p := born(t, s, func([]int64) error { return nil }, 10)
		if p.last() != 11 {
			t.Errorf("marked %v, want 11", p.marked)
		}
	})
}

func TestASuspectThatLivesIsCleared(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &slate{}
		born(t, s, deadly(t, 10), 10).kill()
		born(t, s, func([]int64) error { return nil }, 10).kill()
		if m := s.read(t); !m.InHand.empty() || len(m.Deaths) > 0 {
			t.Errorf("it handled the record and left %+v", m)
		}
	})
}

// A record that was in hand when another one's partition killed the process is
// innocent, however often that happens.
func TestWhatKilledOnceIsHandledWhileNothingElseIs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &slate{}
		born(t, s, deadly(t, 10), 10).kill()
		finish := make(chan struct{})
		var calls []int32
		group := newTestGroup(script{handle: func(_ context.Context, batch []Record) (int, error) {
			calls = append(calls, batch[0].Partition)
			if batch[0].Partition == 1 && len(calls) == 1 {
				<-finish
			}
			return len(batch), nil
		}}, &wire{slate: s})
		playIn(t, group, 1, 10)
		synctest.Wait()
		suspect := playIn(t, group, 0, 10)
		synctest.Wait()
		if m := s.read(t); len(calls) != 1 || !m.InHand.empty() {
			t.Errorf("calls for the partitions %v; %+v", calls, m)
		}
		close(finish)
		synctest.Wait()
		if diff := cmp.Diff([]int32{1, 0}, calls); diff != "" || suspect.last() != 11 {
			t.Errorf("marked %v, calls for the partitions (-want +got):\n%s", suspect.marked, diff)
		}
	})
}

// One that was frozen with a batch in hand wakes when another has the partition.
func TestAZombieCanNotChangeTheMark(t *testing.T) {
	t.Parallel()
	for name, outcome := range map[string]error{"it succeeds": nil, "it fails": errors.New("too late")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &slate{}
				wake := make(chan struct{})
				zombie := born(t, s, func([]int64) error { <-wake; return outcome }, 10)
				zombie.send(11, 12)
				owner := born(t, s, deadly(t, 10), 10, 11, 12)
				want := mark{InHand: span{10, 11}, Suspects: span{10, 11}, Deaths: died(10, 1)}
				if diff := cmp.Diff(want, s.read(t)); diff != "" {
					t.Errorf("the owner's mark (-want +got):\n%s", diff)
				}
				close(wake)
				later(time.Minute / 2)
				if ended, err := zombie.over(); !ended || !errors.Is(err, errTaken) {
					t.Errorf("the zombie ended: %v with %v", ended, err)
				}
				if diff := cmp.Diff(want, s.read(t)); diff != "" {
					t.Errorf("after the zombie woke (-want +got):\n%s", diff)
				}
				owner.kill()
			})
		})
	}
}

func TestWithoutTheStoreNothingIsHandled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &slate{}
		born(t, s, deadly(t, 10), 10).kill()
		p := born(t, s, func([]int64) error { return nil })
		p.wire.cut.Store(true)
		p.send(10, 11)
		later(time.Minute)
		if len(p.calls) > 0 || len(p.marked) > 0 {
			t.Errorf("calls %v, marked %v", p.calls, p.marked)
		}
		p.wire.cut.Store(false)
		later(longestPause)
		if diff := cmp.Diff([][]int64{{10}, {11}}, p.calls); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if got := p.hand.tries(Record{Offset: 10}); got != 0 {
			t.Errorf("%d tries of a record that was not begun", got)
		}
	})
}

func TestALostAnswerOfTheStoreIsMadeGood(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &slate{}
		p := born(t, s, func([]int64) error { return nil }, 10)
		p.wire.lost.Store(true)
		p.send(11)
		later(3 * time.Second)
		p.wire.lost.Store(false)
		later(longestPause)
		if ended, err := p.over(); ended || p.last() != 12 {
			t.Errorf("ended: %v with %v, marked %v", ended, err, p.marked)
		}
	})
}

func TestAnEmptiedStoreBeginsTheSessionAnew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &slate{}
		p := born(t, s, func([]int64) error { return nil }, 10)
		s.flush()
		p.send(11)
		if ended, err := p.over(); !ended || !errors.Is(err, errTaken) {
			t.Errorf("ended: %v with %v", ended, err)
		}
		next := born(t, s, func([]int64) error { return nil }, 11)
		if next.last() != 12 {
			t.Errorf("marked %v, want 12", next.marked)
		}
	})
}

func TestABatchCostsOneSwap(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &slate{}
		p := born(t, s, func([]int64) error { return nil })
		for i := range int64(20) {
			p.send(10+2*i, 11+2*i)
			synctest.Wait()
		}
		if _, swaps := s.count(); len(p.calls) != swaps {
			t.Errorf("%d swaps for %d batches", swaps, len(p.calls))
		}
		later(2 * idleCheck)
		if marks, _ := s.count(); marks > 0 {
			t.Errorf("an idle claim left %d marks", marks)
		}
	})
}

// The log of these tests ends at 100.
func TestAMarkThatWasOverwrittenIsToldAndNotBelievedForEver(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"text":                "10-12",
		"a list":              "[]",
		"another type":        `{"in_hand":"10-12"}`,
		"cut off":             `{"holder":"x","in_hand":{"from":10`,
		"deaths to come":      `{"holder":"x","deaths":{"103":5,"104":4611686018427387904}}`,
		"suspected for ever":  `{"holder":"x","in_hand":{"from":10,"to":11},"suspects":{"from":0,"to":9223372036854775807}}`,
		"failing for ever":    `{"holder":"x","suspects":{"from":-5,"to":9223372036854775807},"failing":200,"attempts":5,"panics":5}`,
		"in hand for ever":    `{"holder":"x","in_hand":{"from":0,"to":9223372036854775807}}`,
		"deaths of all there": `{"holder":"x","deaths":{"10":1000000,"11":-1}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &slate{marks: map[int32]string{0: text}}
				log := &strings.Builder{}
				p := bornWith(t, slog.New(slog.NewTextHandler(log, nil)), s, func([]int64) error { return nil }, 10, 11, 101, 102)
				// What came after the mark is handled as if there had been none.
				atOnce := func(given []int64) bool { return len(given) > 1 && given[len(given)-2] == 101 }
				if p.last() != 103 || !slices.ContainsFunc(p.calls, atOnce) {
					t.Errorf("marked %v, and the handler was given %v, want 101 and 102 at once", p.marked, p.calls)
				}
				p.send(103, 104)
				synctest.Wait()
				if p.last() != 105 {
					t.Errorf("marked %v, want 105", p.marked)
				}
				p.end()
				if ended, err := p.over(); !ended || err != nil {
					t.Fatalf("ended: %t with %v", ended, err)
				}
				if marks, _ := s.count(); marks > 0 {
					t.Errorf("a mark is left: %v", s.marks)
				}
				if got := strings.Count(log.String(), "level=ERROR"); got != 1 {
					t.Errorf("%d errors in the log: %s", got, log)
				}
			})
		})
	}
}

// overtaken is a store in which another is always quicker.
type overtaken struct{}

func (overtaken) Load(context.Context, int32) (string, error) { return `{"holder":"another"}`, nil }

func (overtaken) CompareAndSwap(context.Context, int32, string, string) (bool, error) {
	return false, nil
}

func TestWhoIsOvertakenWhileTakingOverLeaves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		group := newTestGroup(script{handle: func(context.Context, []Record) (int, error) {
			t.Error("it handled a record that another has")
			return 1, nil
		}}, overtaken{})
		p := playIn(t, group, 0, 10)
		synctest.Wait()
		if ended, err := p.over(); !ended || !errors.Is(err, errTaken) {
			t.Errorf("ended: %t with %v", ended, err)
		}
	})
}
