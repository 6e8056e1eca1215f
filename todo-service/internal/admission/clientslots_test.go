package admission_test

import (
	"context"
	"errors"
	"net/netip"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"example.com/todo/platform/apperr"
	"example.com/todo/todo-service/internal/admission"
	"example.com/todo/todo-service/internal/ratelimit"
)

var (
	client       = ratelimit.NewClient(0, netip.MustParseAddr("2001:db8::1"))
	sameNetwork  = ratelimit.NewClient(0, netip.MustParseAddr("2001:db8::2"))
	otherNetwork = ratelimit.NewClient(0, netip.MustParseAddr("2001:db8:0:1::1"))
	noAddress    = ratelimit.NewClient(0, netip.Addr{})
	user         = ratelimit.NewClient(7, netip.MustParseAddr("2001:db8::1"))
)

// startCall acquires a slot in the background. waiting reports whether it still waits, and
// ended gets the result.
func startCall(ctx context.Context, s *admission.ClientSlots, client ratelimit.Client) (release func(), waiting func() bool, ended <-chan error) {
	got := make(chan error, 1)
	var unlock func()
	go func() {
		release, err := s.Acquire(ctx, client)
		unlock = release
		got <- err
	}()
	synctest.Wait()
	return func() { unlock() }, func() bool { synctest.Wait(); return len(got) == 0 }, got
}

func TestSearchLocksAllowOneSearchOfEachClient(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := admission.NewSearchLocks()
		first, waiting, _ := startCall(t.Context(), s, client)
		if waiting() {
			t.Fatal("the first search waits")
		}
		second, secondWaits, _ := startCall(t.Context(), s, sameNetwork)
		for name, other := range map[string]ratelimit.Client{"another client": otherNetwork, "one without an address": noAddress, "a user": user} {
			if _, waits, _ := startCall(t.Context(), s, other); waits() {
				t.Errorf("%s waits", name)
			}
		}
		if !secondWaits() {
			t.Fatal("two searches of a client run at once")
		}
		first()
		if secondWaits() {
			t.Fatal("the second search waits after the first has ended")
		}
		second()
		if _, waits, _ := startCall(t.Context(), s, client); waits() {
			t.Error("a search waits although all have ended")
		}
	})
}

func TestDocumentSlotsAllowTwoDocumentsOfEachClient(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := admission.NewDocumentSlots()
		first, firstWaits, _ := startCall(t.Context(), s, client)
		second, secondWaits, _ := startCall(t.Context(), s, sameNetwork)
		if firstWaits() || secondWaits() {
			t.Fatal("one of two documents waits")
		}
		third, thirdWaits, _ := startCall(t.Context(), s, client)
		other, otherWaits, _ := startCall(t.Context(), s, otherNetwork)
		if otherWaits() {
			t.Fatal("the document of another client waits")
		}
		if !thirdWaits() {
			t.Fatal("three documents of a client are prepared at once")
		}
		second()
		if thirdWaits() {
			t.Fatal("the third document waits after the second was prepared")
		}
		first()
		third()
		other()
	})
}

func TestAcquireIsRateLimitedWhenTheDeadlinePasses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := admission.NewSearchLocks()
		first, _, _ := startCall(t.Context(), s, client)
		late, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		start := time.Now()
		_, err := s.Acquire(late, client)
		if refused := apperr.Of(err); refused.Kind != apperr.RateLimited || refused.RetryAfter <= 0 || time.Since(start) != 5*time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		first()
		last, waits, _ := startCall(t.Context(), s, client)
		if waits() {
			t.Error("the search that timed out still holds the lock")
		}
		last()
		if got := s.Clients(); got != 0 {
			t.Errorf("%d locks are left without a search", got)
		}
	})
}

func TestAcquireReturnsAtOnceWhenItsContextIsCanceled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := admission.NewSearchLocks()
		first, _, _ := startCall(t.Context(), s, client)
		ctx, cancel := context.WithCancel(t.Context())
		_, _, ended := startCall(ctx, s, client)
		third, thirdWaits, _ := startCall(t.Context(), s, client)
		cancel()
		synctest.Wait()
		select {
		case err := <-ended:
			if !errors.Is(err, context.Canceled) {
				t.Errorf("the cancelled search got %v", err)
			}
		default:
			t.Error("the cancelled search waits")
		}
		if !thirdWaits() {
			t.Error("the third search runs beside the first")
		}
		first()
		if thirdWaits() {
			t.Error("the third search waits for the cancelled one")
		}
		third()
	})
}

// Otherwise a client that cancels one search after another would fill the memory.
func TestACanceledSearchLeavesNothingBehind(t *testing.T) { //nolint:paralleltest // it counts goroutines
	s := admission.NewSearchLocks()
	release, err := s.Acquire(t.Context(), client)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	before := runtime.NumGoroutine()
	for range 100 {
		if _, err := s.Acquire(canceled, client); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	}
	if left := runtime.NumGoroutine() - before; left > 0 {
		t.Errorf("100 canceled searches left %d goroutines", left)
	}
}
