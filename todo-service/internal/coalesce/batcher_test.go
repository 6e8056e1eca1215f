package coalesce

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
)

// maxInFlight is that of every batcher under test: more than one.
const maxInFlight = 2

// heldStore is a store whose batches end when the test releases them. Its results
// are the version that was committed when the batch started.
type heldStore struct {
	committed int
	release   chan struct{}
	batches   [][]Entry[int]
}

func (h *heldStore) run(_ context.Context, batch []Entry[int]) ([]int, error) {
	seen := make([]int, len(batch))
	for i := range seen {
		seen[i] = h.committed
	}
	h.batches = append(h.batches, batch)
	<-h.release
	return seen, nil
}

// saturated returns a batcher with maxInFlight batches in flight, in a synctest bubble.
func saturated(t *testing.T, h *heldStore, callers *sync.WaitGroup) *Batcher[int, int] {
	b := &Batcher[int, int]{Run: h.run, MaxInFlight: maxInFlight}
	for range maxInFlight {
		callers.Go(func() { _, _ = b.Do(t.Context(), -1) })
		synctest.Wait()
	}
	return b
}

func wantIdle(t *testing.T, b *Batcher[int, int]) {
	t.Helper()
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.inFlight != 0 {
		t.Errorf("%d batches are in flight, want none", b.inFlight)
	}
}

func TestBatcherAnswersCallsFromTheBatchThatStartsAfterThem(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &heldStore{committed: 1, release: make(chan struct{})}
		var callers sync.WaitGroup
		b := saturated(t, h, &callers)
		for i := range 100 {
			callers.Go(func() {
				if seen, err := b.Do(t.Context(), i%50); err != nil || seen != 2 {
					t.Errorf("saw %d, %v, want what was committed before the batch started", seen, err)
				}
			})
		}
		synctest.Wait()
		h.committed = 2
		close(h.release)
		callers.Wait()
		if got := len(h.batches); got != maxInFlight+1 || len(h.batches[maxInFlight]) != 50 {
			t.Fatalf("%d batches, want %d and 50 keys in the last", got, maxInFlight+1)
		}
		for _, e := range h.batches[maxInFlight] {
			if e.Calls != 2 {
				t.Errorf("key %d has %d calls, want 2", e.Key, e.Calls)
			}
		}
		wantIdle(t, b)
	})
}

func TestBatcherLeavesOutACallThatEndsBeforeItsBatchStarts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &heldStore{release: make(chan struct{})}
		var callers sync.WaitGroup
		b := saturated(t, h, &callers)
		b.WaitForRunning = true
		ctx, cancel := context.WithCancel(t.Context())
		callers.Go(func() {
			if _, err := b.Do(ctx, 1); !errors.Is(err, context.Canceled) {
				t.Errorf("the cancelled call returned %v", err)
			}
		})
		callers.Go(func() { _, _ = b.Do(t.Context(), 2) })
		synctest.Wait()
		cancel()
		synctest.Wait()
		close(h.release)
		callers.Wait()
		if last := h.batches[maxInFlight]; len(last) != 1 || last[0].Key != 2 {
			t.Errorf("the batch is %v, want key 2 alone", last)
		}
	})
}

func TestBatcherFinishesABatchWhoseCallerIsCancelled(t *testing.T) {
	t.Parallel()
	for name, waitForRunning := range map[string]bool{"the caller returns at once": false, "the caller waits for the outcome": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := &heldStore{release: make(chan struct{})}
				var callers sync.WaitGroup
				b := saturated(t, h, &callers)
				b.WaitForRunning = waitForRunning
				ctx, cancel := context.WithCancel(t.Context())
				returned := false
				callers.Go(func() {
					if _, err := b.Do(ctx, 1); (err == nil) != waitForRunning {
						t.Errorf("the cancelled call returned %v", err)
					}
					returned = true
				})
				callers.Go(func() {
					if _, err := b.Do(t.Context(), 2); err != nil {
						t.Error(err)
					}
				})
				synctest.Wait()
				h.release <- struct{}{} // ends one of the batches before
				synctest.Wait()
				cancel()
				synctest.Wait()
				if returned == waitForRunning {
					t.Errorf("returned is %t while the batch is in flight", returned)
				}
				close(h.release)
				callers.Wait()
			})
		})
	}
}

func TestBatcherReturnsAFailureToEveryCallOfTheBatch(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		run  func(context.Context, []Entry[int]) ([]int, error)
		want string
	}{
		"an error":          {func(context.Context, []Entry[int]) ([]int, error) { return nil, errors.New("syntax error") }, "syntax error"},
		"a panic":           {func(context.Context, []Entry[int]) ([]int, error) { panic("no such column") }, "no such column"},
		"a missing result":  {func(context.Context, []Entry[int]) ([]int, error) { return make([]int, 9), nil }, "9 results"},
		"a result too many": {func(context.Context, []Entry[int]) ([]int, error) { return make([]int, 11), nil }, "11 results"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := &heldStore{release: make(chan struct{})}
				var callers sync.WaitGroup
				b := saturated(t, h, &callers)
				for i := range 10 {
					callers.Go(func() {
						if _, err := b.Do(t.Context(), i); err == nil || !strings.Contains(err.Error(), test.want) {
							t.Errorf("got %v", err)
						}
					})
				}
				synctest.Wait()
				b.Run = test.run
				close(h.release)
				callers.Wait()
				wantIdle(t, b)
			})
		})
	}
}
