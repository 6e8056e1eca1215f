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

// receiver rejects the unwanted events and, while closed, all.
type receiver struct {
	unwanted    map[string]bool
	closed      bool
	unreachable bool
}

func (r *receiver) Send(_ context.Context, n notify.Notification) error {
	switch {
	case r.unreachable:
		return errors.New("no route")
	case r.closed, r.unwanted[n.EventID]:
		return fmt.Errorf("receiver: %w", notify.ErrRejected)
	}
	return nil
}

// rejectionTest has a partition that e1 blocks, and a second partition.
type rejectionTest struct {
	*testing.T
	*receiver
	claims  *fakeClaims
	blocked *notify.Service
	others  *notify.Service
	number  int
}

func testRejection(t *testing.T, test func(r *rejectionTest)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rejectionTest{T: t, receiver: &receiver{unwanted: map[string]bool{"e1": true}}, claims: newFakeClaims()}
		r.restart()
		test(r)
	})
}

// restart replaces both processes after the lease expired.
func (r *rejectionTest) restart() {
	time.Sleep(lease) //nolint:forbidigo // the bubble's clock, not the wall's
	r.number++
	r.blocked = notify.NewService(ownedBy{r.claims, fmt.Sprint("holder ", r.number)}, r.receiver)
	r.others = notify.NewService(ownedBy{r.claims, "other"}, r.receiver)
}

// runFor tries e1 every ten seconds for d, and another event when others is set. It
// returns after how long e1 was given up, or zero.
func (r *rejectionTest) runFor(d time.Duration, others bool) (after time.Duration) {
	r.Helper()
	start := time.Now()
	for time.Since(start) < d {
		time.Sleep(5 * time.Second) //nolint:forbidigo // the bubble's clock, not the wall's
		if others {
			r.number++
			e := notify.Event{Type: "task.completed", DedupKey: fmt.Sprint("other ", r.number), ID: "fine"}
			if _, err := r.others.Notify(r.Context(), []notify.Event{e}); err != nil && !r.closed && !r.unreachable {
				r.Fatal(err)
			}
		}
		time.Sleep(5 * time.Second) //nolint:forbidigo // the bubble's clock, not the wall's
		_, err := notifyOne(r.T, r.blocked, learnGo)
		if errors.Is(err, notify.ErrGivenUp) {
			return time.Since(start)
		}
		if err == nil {
			r.Fatal("e1 was delivered")
		}
	}
	return 0
}

func TestNotificationIsGivenUpAfter15MinutesOfRejectionWhileOthersAreDelivered(t *testing.T) {
	t.Parallel()
	testRejection(t, func(r *rejectionTest) {
		if after := r.runFor(time.Hour, true); after < 15*time.Minute || after > 16*time.Minute {
			r.Errorf("given up after %v, want 15 to 16 minutes", after)
		}
	})
}

func TestRejectionPeriodContinuesAfterARestart(t *testing.T) {
	t.Parallel()
	testRejection(t, func(r *rejectionTest) {
		if after := r.runFor(10*time.Minute, true); after != 0 {
			r.Fatalf("given up after %v", after)
		}
		r.restart()
		if after := r.runFor(time.Hour, true); after == 0 || after > 6*time.Minute {
			r.Errorf("given up %v after the restart, want at most 6 minutes", after)
		}
	})
}

func TestNothingIsGivenUpWhileNoNotificationIsDelivered(t *testing.T) {
	t.Parallel()
	tests := map[string]func(r *rejectionTest){
		"the receiver rejects everything":                func(r *rejectionTest) { r.closed = true },
		"the receiver is unreachable":                    func(r *rejectionTest) { r.unreachable = true },
		"the receiver rejects, and nothing else is sent": func(*rejectionTest) {},
	}
	for name, breakReceiver := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testRejection(t, func(r *rejectionTest) {
				if after := r.runFor(time.Minute, true); after != 0 { // at first the others are delivered
					r.Fatalf("given up after %v", after)
				}
				breakReceiver(r)
				others := r.closed || r.unreachable
				if after := r.runFor(3*time.Hour, others); after != 0 {
					r.Fatalf("given up after %v", after)
				}
				// The first delivery proves nothing: the receiver may be recovering.
				r.closed, r.unreachable = false, false
				if after := r.runFor(14*time.Minute, true); after != 0 {
					r.Errorf("given up %v after others were delivered again", after)
				}
				if after := r.runFor(2*time.Minute, true); after == 0 {
					r.Error("not given up 16 minutes after others were delivered again")
				}
			})
		})
	}
}

// RecordSent acquires e1 at the very time of the other event's delivery.
func TestDeliveryBeforeTheFirstRejectionDoesNotStartThePeriod(t *testing.T) {
	t.Parallel()
	testRejection(t, func(r *rejectionTest) {
		before := notify.Event{Type: "task.completed", DedupKey: "before", ID: "fine"}
		if _, err := r.blocked.Notify(r.Context(), []notify.Event{before, learnGo}); !errors.Is(err, notify.ErrRejected) {
			r.Fatal(err)
		}
		r.closed = true
		if after := r.runFor(14*time.Minute, true); after != 0 {
			r.Fatalf("given up after %v", after)
		}
		r.closed = false
		if after := r.runFor(14*time.Minute, true); after != 0 {
			r.Errorf("given up %v after others were delivered again", after)
		}
	})
}
