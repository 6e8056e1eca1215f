package notify

import (
	"context"
	"errors"
	"time"
)

// State is the state of a dedup key as Acquire found it.
type State int

// The states.
const (
	Acquired      State = iota + 1 // leased by this process, now or on an earlier attempt: send
	AlreadySent                    // sent before, by this or another process
	LeasedByOther                  // leased by another process, which may still be sending
)

// Claim is the result of Acquire. Its times are from the clock of the ClaimStore
// and are set when the State is Acquired.
type Claim struct {
	State         State
	ClaimedAt     time.Time
	RejectedSince time.Time // as RecordRejection stored it; zero without a rejection
	LastDelivery  time.Time // of any notification; zero before the first
}

// ClaimStore keeps leases, sent notifications and rejections outside the process, by
// dedup key. A lease is never released: it ends as sent, or expires.
type ClaimStore interface {
	// Acquire leases the key for this process, or returns the state that prevents
	// it. Acquiring a key that this process holds renews the lease.
	Acquire(ctx context.Context, key string) (Claim, error)
	// RecordSent records that the notification was sent and in the same step
	// acquires next, unless next is empty. A lease that another process holds on
	// key stays as it is.
	RecordSent(ctx context.Context, key, next string) (Claim, error)
	// RecordRejection stores for some minutes since when the key's notification
	// is rejected.
	RecordRejection(ctx context.Context, key string, since time.Time) error
}

// rejectionPeriod is how long a receiver may reject a notification, while it
// accepts others, before the notification is given up.
const rejectionPeriod = 15 * time.Minute

var (
	// ErrRejected is in the error of a Sender whose receiver answered that it
	// does not accept this notification.
	ErrRejected = errors.New("rejected")
	// ErrGivenUp is in the error about an event whose notification was rejected
	// for 15 minutes while others were delivered. A retry cannot succeed.
	ErrGivenUp = errors.New("given up: rejected for 15 minutes while others were delivered")
)

// rejectionStart returns when the rejection period of this notification began:
// the last rejection before others were delivered. The period only runs while
// others are delivered.
func (c Claim) rejectionStart() time.Time {
	// Without other deliveries the receiver is down, and the notification is not
	// to blame: the period restarts.
	othersDelivered := c.LastDelivery.After(c.RejectedSince) && c.ClaimedAt.Sub(c.LastDelivery) < rejectionPeriod
	if c.RejectedSince.IsZero() || !othersDelivered {
		return c.ClaimedAt
	}
	return c.RejectedSince
}

// rejectedForGood reports whether one more rejection ends the attempts. All times are
// from before this attempt: a delivery during it proves nothing about the receiver before.
func (c Claim) rejectedForGood() bool {
	return c.LastDelivery.Sub(c.rejectionStart()) >= rejectionPeriod
}
