package notify_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"example.com/todo/notification-service/internal/notify"
)

// receiver refuses the events that are unwanted and, while closed, all.
type receiver struct {
	unwanted map[string]bool
	closed   bool
	away     bool
}

func (r *receiver) Send(_ context.Context, n notify.Notification) error {
	switch {
	case r.away:
		return errors.New("no route")
	case r.closed, r.unwanted[n.EventID]:
		return fmt.Errorf("it says no: %w", notify.ErrRejected)
	}
	return nil
}

// refusal is a partition held by e1, and other partitions.
type refusal struct {
	*testing.T
	*receiver
	claims *claims
	held   *notify.Service
	others *notify.Service
	number int
}

func within(t *testing.T, test func(r *refusal)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &refusal{T: t, receiver: &receiver{unwanted: map[string]bool{"e1": true}}, claims: newClaims()}
		r.restart()
		test(r)
	})
}

// restart replaces the process that holds the partition, after its lease.
func (r *refusal) restart() {
	time.Sleep(lease) //nolint:forbidigo // the bubble's clock, not the wall's
	r.number++
	r.held = notify.NewService(of{r.claims, fmt.Sprint("holder ", r.number)}, r.receiver)
	r.others = notify.NewService(of{r.claims, "other"}, r.receiver)
}

// pass lets time pass: e1 is tried every ten seconds, and another event when
// others is set. It returns when e1 was given up, or zero.
func (r *refusal) pass(d time.Duration, others bool) (after time.Duration) {
	r.Helper()
	began := time.Now()
	for time.Since(began) < d {
		time.Sleep(5 * time.Second) //nolint:forbidigo // the bubble's clock, not the wall's
		if others {
			r.number++
			e := notify.Event{Type: "task.completed", DedupKey: fmt.Sprint("other ", r.number), ID: "fine"}
			if _, err := r.others.Notify(r.Context(), []notify.Event{e}); err != nil && !r.closed && !r.away {
				r.Fatal(err)
			}
		}
		time.Sleep(5 * time.Second) //nolint:forbidigo // the bubble's clock, not the wall's
		_, err := one(r.T, r.held, learnGo)
		if errors.Is(err, notify.ErrGivenUp) {
			return time.Since(began)
		}
		if err == nil {
			r.Fatal("e1 went through")
		}
	}
	return 0
}

func TestWhatIsRefusedForAQuarterOfAnHourWhileOthersGoThroughIsGivenUp(t *testing.T) {
	t.Parallel()
	within(t, func(r *refusal) {
		if after := r.pass(time.Hour, true); after < 15*time.Minute || after > 16*time.Minute {
			r.Errorf("given up after %v, want 15 to 16 minutes", after)
		}
	})
}

func TestARestartDoesNotMakeItImmortal(t *testing.T) {
	t.Parallel()
	within(t, func(r *refusal) {
		if after := r.pass(10*time.Minute, true); after != 0 {
			r.Fatalf("given up after %v", after)
		}
		r.restart()
		if after := r.pass(time.Hour, true); after == 0 || after > 6*time.Minute {
			r.Errorf("given up %v after the restart, want at most 6 minutes", after)
		}
	})
}

func TestNothingIsGivenUpWhileNobodyGoesThrough(t *testing.T) {
	t.Parallel()
	tests := map[string]func(r *refusal){
		"the receiver refuses everybody":           func(r *refusal) { r.closed = true },
		"the receiver can not be reached":          func(r *refusal) { r.away = true },
		"the receiver refuses, and nobody is sent": func(*refusal) {},
	}
	for name, worsen := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			within(t, func(r *refusal) {
				if after := r.pass(time.Minute, true); after != 0 { // all was well with the others at first
					r.Fatalf("given up after %v", after)
				}
				worsen(r)
				others := r.closed || r.away
				if after := r.pass(3*time.Hour, others); after != 0 {
					r.Fatalf("given up after %v", after)
				}
				// The first that goes through again is no proof: the receiver may be getting well.
				r.closed, r.away = false, false
				if after := r.pass(14*time.Minute, true); after != 0 {
					r.Errorf("given up %v after others began to go through", after)
				}
				if after := r.pass(2*time.Minute, true); after == 0 {
					r.Error("not given up 16 minutes after others began to go through")
				}
			})
		})
	}
}

// The claim made along with another's done has that other's time to the very
// instant.
func TestTheSuccessBeforeTheFirstRefusalDoesNotCount(t *testing.T) {
	t.Parallel()
	within(t, func(r *refusal) {
		before := notify.Event{Type: "task.completed", DedupKey: "before", ID: "fine"}
		if _, err := r.held.Notify(r.Context(), []notify.Event{before, learnGo}); !errors.Is(err, notify.ErrRejected) {
			r.Fatal(err)
		}
		r.closed = true
		if after := r.pass(14*time.Minute, true); after != 0 {
			r.Fatalf("given up after %v", after)
		}
		r.closed = false
		if after := r.pass(14*time.Minute, true); after != 0 {
			r.Errorf("given up %v after others began to go through", after)
		}
	})
}
