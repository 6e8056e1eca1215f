package notify

import (
	"context"
	"errors"
	"time"
)

// rejectionPeriod is how long a sender may refuse a notification while it takes others.
const rejectionPeriod = 15 * time.Minute

// What a sender that was asked may say, and what becomes of it.
var (
	// ErrRejected is in the error of a Sender that was reached and does not want
	// this notification.
	ErrRejected = errors.New("refused")
	// ErrGivenUp is in the error about an event whose notification was refused
	// for 15 minutes while others went through: trying again is in vain.
	ErrGivenUp = errors.New("given up: refused for 15 minutes, while others went through")
)

// State is what a claim found.
type State int

// The states.
const (
	Acquired      State = iota // claimed by us, now or on an earlier try: send
	AlreadySent                // sent before, by whoever: leave it
	LeasedByOther              // claimed by another who may still be sending
)

// Acquire is what a claim found. Its times are by one clock, that of Claims, and
// set when it is Mine.
type Claim struct {
	State         State
	ClaimedAt     time.Time // when it was claimed
	RejectedSince time.Time // as Refuse was told; zero when it was not
	LastDelivery  time.Time // when any notification was last done; zero when none was
}

// ClaimStore remembers what was sent, what is being sent and what is refused,
// outside the process. A mark is an event's identity: no method takes anything
// else, so nothing is sent that could not be recognised when it comes again.
type ClaimStore interface {
	// Acquire reserves the mark for this process for the length of a lease, or
	// says who was first. Claiming one's own mark renews the lease.
	Acquire(ctx context.Context, mark string) (Claim, error)
	// AlreadySent records that the notification was sent, and in the same step claims
	// next, unless that is empty. A mark that another holds by now is left as
	// it is.
	RecordSent(ctx context.Context, mark, next string) (Claim, error)
	// RecordRejection keeps, for some minutes, since when the mark's notification is
	// refused.
	RecordRejection(ctx context.Context, mark string, since time.Time) error
}

// rejectionStart is the begin of the time that counts towards patience: the last
// refusal before others began to go through. While nobody does it is the sender
// that is unwell, not the notification: the time does not run, and begins anew
// when nobody did for long.
func (c Claim) rejectionStart() time.Time {
	othersGoThrough := c.LastDelivery.After(c.RejectedSince) && c.ClaimedAt.Sub(c.LastDelivery) < rejectionPeriod
	if c.RejectedSince.IsZero() || !othersGoThrough {
		return c.ClaimedAt
	}
	return c.RejectedSince
}

// rejectedForGood tells what another refusal means. Everything it looks at was so when
// the claim was made: another's success during this attempt proves nothing.
func (c Claim) rejectedForGood() bool {
	return c.LastDelivery.Sub(c.rejectionStart()) >= rejectionPeriod
}
