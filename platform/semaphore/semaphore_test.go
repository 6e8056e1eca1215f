package semaphore_test

import (
	"sync"
	"sync/atomic"
	"testing"

	"example.com/todo/platform/semaphore"
)

func TestSemaphoreGrantsItsSlotsToConcurrentCallersAndTakesThemBack(t *testing.T) {
	t.Parallel()
	const slots = 7
	s := semaphore.New(slots)
	for range 100 {
		var granted atomic.Int64
		var callers sync.WaitGroup
		for range 3 * slots {
			callers.Go(func() {
				if s.TryAcquire() {
					granted.Add(1)
				}
			})
		}
		callers.Wait()
		if got := granted.Load(); got < 1 || got > slots || s.InUse() != float64(got) {
			t.Fatalf("%d slots were granted and %v are in use, want at most %d", got, s.InUse(), slots)
		}
		for range granted.Load() {
			s.Release()
		}
	}
	if !s.TryAcquire() || s.InUse() != 1 {
		t.Error("a semaphore without users grants no slot")
	}
}
