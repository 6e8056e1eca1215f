package pgstore

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
)

// held is a database whose statements end when they are told to, and which tells
// what was committed when a statement began.
type held struct {
	committed  int
	release    chan struct{}
	statements [][]int
}

func (h *held) run(_ context.Context, all []int) (int, error) {
	seen := h.committed
	h.statements = append(h.statements, all)
	<-h.release
	return seen, nil
}

// crowded has as many statements under way as there may be, in a synctest bubble.
func crowded(t *testing.T, h *held, callers *sync.WaitGroup) *sharing[int, int] {
	s := &sharing[int, int]{run: h.run, abreast: maxInFlight}
	for range maxInFlight {
		callers.Go(func() { _, _ = s.do(t.Context(), -1) })
		synctest.Wait()
	}
	return s
}

func wantIdle(t *testing.T, s *sharing[int, int]) {
	t.Helper()
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.under != 0 {
		t.Errorf("%d statements are under way, want none", s.under)
	}
}

func TestCallersShareTheStatementThatBeginsAfterTheyAsked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &held{committed: 1, release: make(chan struct{})}
		var callers sync.WaitGroup
		s := crowded(t, h, &callers)
		for i := range 100 {
			callers.Go(func() {
				if seen, err := s.do(t.Context(), i%50); err != nil || seen != 2 {
					t.Errorf("saw %d, %v, want what was committed before it could be answered", seen, err)
				}
			})
		}
		synctest.Wait()
		h.committed = 2
		close(h.release)
		callers.Wait()
		if got := len(h.statements); got != maxInFlight+1 || len(h.statements[maxInFlight]) != 100 {
			t.Errorf("%d statements, want %d and the last for 100", got, maxInFlight+1)
		}
		wantIdle(t, s)
	})
}

func TestWhoLeavesBeforeTheStatementBeginsIsNotInIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &held{release: make(chan struct{})}
		var callers sync.WaitGroup
		s := crowded(t, h, &callers)
		s.toTheEnd = true
		ctx, leave := context.WithCancel(t.Context())
		callers.Go(func() {
			if _, err := s.do(ctx, 1); !errors.Is(err, context.Canceled) {
				t.Errorf("who left got %v", err)
			}
		})
		callers.Go(func() { _, _ = s.do(t.Context(), 2) })
		synctest.Wait()
		leave()
		synctest.Wait()
		close(h.release)
		callers.Wait()
		if last := h.statements[maxInFlight]; len(last) != 1 || last[0] != 2 {
			t.Errorf("the statement was for %v, want it for 2 alone", last)
		}
	})
}

func TestWhoLeavesLaterLeavesTheOthersTheirStatement(t *testing.T) {
	t.Parallel()
	for name, toTheEnd := range map[string]bool{"at once": false, "at its end": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := &held{release: make(chan struct{})}
				var callers sync.WaitGroup
				s := crowded(t, h, &callers)
				s.toTheEnd = toTheEnd
				ctx, leave := context.WithCancel(t.Context())
				left := false
				callers.Go(func() {
					if _, err := s.do(ctx, 1); (err == nil) != toTheEnd {
						t.Errorf("who left got %v", err)
					}
					left = true
				})
				callers.Go(func() {
					if _, err := s.do(t.Context(), 2); err != nil {
						t.Error(err)
					}
				})
				synctest.Wait()
				h.release <- struct{}{} // one of those before it ends
				synctest.Wait()
				leave()
				synctest.Wait()
				if left == toTheEnd {
					t.Errorf("left is %t while the statement is under way", left)
				}
				close(h.release)
				callers.Wait()
			})
		})
	}
}

func TestAFailureIsThatOfAllWhoShareIt(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		run  func(context.Context, []int) (int, error)
		want string
	}{
		"an error": {func(context.Context, []int) (int, error) { return 0, errors.New("syntax error") }, "syntax error"},
		"a panic":  {func(context.Context, []int) (int, error) { panic("no such column") }, "no such column"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := &held{release: make(chan struct{})}
				var callers sync.WaitGroup
				s := crowded(t, h, &callers)
				for i := range 10 {
					callers.Go(func() {
						if _, err := s.do(t.Context(), i); err == nil || !strings.Contains(err.Error(), test.want) {
							t.Errorf("got %v", err)
						}
					})
				}
				synctest.Wait()
				s.run = test.run
				close(h.release)
				callers.Wait()
				wantIdle(t, s)
			})
		})
	}
}
