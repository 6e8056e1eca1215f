package admission_test

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"example.com/todo/platform/apperr"
	"example.com/todo/todo-service/internal/admission"
)

var (
	client    = netip.MustParseAddr("2001:db8::1")
	sameOne   = netip.MustParseAddr("2001:db8::2")
	otherOne  = netip.MustParseAddr("2001:db8:0:1::1")
	noAddress netip.Addr
)

// listWithSlot starts one, and returns what it got, once it has.
func search(ctx context.Context, s *admission.SearchLocks, addr netip.Addr) (release func(), waiting func() bool, ended <-chan error) {
	got := make(chan error, 1)
	var unlock func()
	go func() {
		release, err := s.Acquire(ctx, addr)
		unlock = release
		got <- err
	}()
	synctest.Wait()
	return func() { unlock() }, func() bool { synctest.Wait(); return len(got) == 0 }, got
}

func TestAClientSearchesOnceAtATimeAndOthersBesideIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := admission.NewSearchLocks()
		first, waiting, _ := search(t.Context(), s, client)
		if waiting() {
			t.Fatal("the first search waits")
		}
		second, secondWaits, _ := search(t.Context(), s, sameOne)
		for name, addr := range map[string]netip.Addr{"another client": otherOne, "one without an address": noAddress} {
			if _, waits, _ := search(t.Context(), s, addr); waits() {
				t.Errorf("%s waits", name)
			}
		}
		if !secondWaits() {
			t.Fatal("two searches of a client run at once")
		}
		first()
		if secondWaits() {
			t.Fatal("the second search waits when the first is over")
		}
		second()
		if _, waits, _ := search(t.Context(), s, client); waits() {
			t.Error("a search waits for none")
		}
	})
}

func TestASearchWaitsForAnotherNoLongerThanItsDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := admission.NewSearchLocks()
		first, _, _ := search(t.Context(), s, client)
		late, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		begun := time.Now()
		_, err := s.Acquire(late, client)
		if refused := apperr.Of(err); refused.Kind != apperr.RateLimited || refused.RetryAfter <= 0 || time.Since(begun) != 5*time.Second {
			t.Errorf("after %v: %v", time.Since(begun), err)
		}
		first()
		last, waits, _ := search(t.Context(), s, client)
		if waits() {
			t.Error("the search that gave up holds the next one up")
		}
		last()
		if got := s.Clients(); got != 0 {
			t.Errorf("%d clients are remembered that do not search", got)
		}
	})
}

func TestASearchThatIsCancelledGivesWayAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := admission.NewSearchLocks()
		first, _, _ := search(t.Context(), s, client)
		ctx, cancel := context.WithCancel(t.Context())
		_, _, ended := search(ctx, s, client)
		third, thirdWaits, _ := search(t.Context(), s, client)
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
