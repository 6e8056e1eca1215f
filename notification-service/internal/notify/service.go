package notify

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"example.com/todo/platform/apperr"
)

// Service sends the notifications of events. It may be used by several goroutines.
type Service struct {
	claims ClaimStore
	sender Sender

	sentUnrecorded sync.Map // dedup key → position of an event that was sent while RecordSent failed
}

// NewService returns the service over its claims and its sender.
func NewService(claims ClaimStore, sender Sender) *Service {
	return &Service{claims: claims, sender: sender}
}

// Sender delivers notifications. After an error the notification may or may not
// have been delivered, and the caller sends it again, unless the error has been
// ErrRejected for too long. A Sender has its own timeout, well below the lease.
type Sender interface {
	Send(ctx context.Context, n Notification) error
}

// Outcome is the result for one event.
type Outcome string

// The outcomes.
const (
	Sent      Outcome = "sent"
	Duplicate Outcome = "duplicate" // its notification was sent before
	Ignored   Outcome = "ignored"   // not an event that notifies
)

// Notify sends the notifications of the events in order, except those that were
// sent before. It returns the outcomes of the events before the first failed one.
// The caller hands in the failed event and the rest again: they are sent then, or
// found sent.
//
// The error is ErrGivenUp when a retry cannot succeed, and apperr.Unavailable
// while another replica holds a lease. When ctx ends, Notify still finishes the
// notification that it is sending.
func (s *Service) Notify(ctx context.Context, events []Event) ([]Outcome, error) {
	outcomes := make([]Outcome, 0, len(events))
	var prefetched *Claim // of the next completion
	for i, e := range events {
		outcome := Ignored
		if e.Type == completed {
			claim, err := s.acquire(ctx, e, prefetched)
			if err != nil {
				return outcomes, err
			}
			if outcome, prefetched = Duplicate, nil; claim.State == Acquired {
				outcome = Sent
				if prefetched, err = s.sendAndRecord(ctx, e, claim, events[i+1:]); err != nil {
					return outcomes, err
				}
			}
		}
		outcomes = append(outcomes, outcome)
	}
	return outcomes, nil
}

// acquire returns the prefetched claim, or makes one. Its state is Acquired or
// AlreadySent; the error is apperr.Unavailable when another replica holds the lease.
func (s *Service) acquire(ctx context.Context, e Event, prefetched *Claim) (Claim, error) {
	if prefetched == nil {
		claim, err := s.claims.Acquire(ctx, e.DedupKey)
		if err != nil {
			return Claim{}, err
		}
		prefetched = &claim
	}
	switch prefetched.State {
	case LeasedByOther:
		return Claim{}, apperr.New(apperr.Unavailable, "another replica is sending the notification of %s", e.DedupKey)
	case AlreadySent:
		s.sentUnrecorded.Delete(e.DedupKey)
	}
	return *prefetched, nil
}

// sendAndRecord sends the notification of an acquired event, and returns the
// claim of the next completion in rest; nil when there is none.
func (s *Service) sendAndRecord(ctx context.Context, e Event, claim Claim, rest []Event) (prefetched *Claim, err error) {
	// A request that is cut off may have been delivered and would be sent again.
	sendCtx := context.WithoutCancel(ctx)
	// The positions differ for a later completion of the same task without event ids.
	if sent, _ := s.sentUnrecorded.Load(e.DedupKey); sent != e.Position {
		if err := s.sender.Send(sendCtx, e.notification()); err != nil {
			return nil, s.handleSendError(sendCtx, e.DedupKey, claim, err)
		}
	}
	// One round trip per notification: RecordSent also leases the next key. After
	// ctx has ended the next is left to the process that takes over the partition.
	next := ""
	if ctx.Err() == nil {
		next = nextDedupKey(rest)
	}
	claimed, err := s.claims.RecordSent(sendCtx, e.DedupKey, next)
	if err != nil {
		s.sentUnrecorded.Store(e.DedupKey, e.Position)
		return nil, err
	}
	s.sentUnrecorded.Delete(e.DedupKey)
	if next == "" {
		return nil, nil
	}
	return &claimed, nil
}

// handleSendError decides between a retry and ErrGivenUp.
func (s *Service) handleSendError(ctx context.Context, key string, claim Claim, err error) error {
	switch {
	case !errors.Is(err, ErrRejected):
		return err
	case claim.rejectedForGood():
		return fmt.Errorf("%w: %w", ErrGivenUp, err)
	default:
		return errors.Join(err, s.claims.RecordRejection(ctx, key, claim.rejectionStart()))
	}
}

func nextDedupKey(events []Event) string {
	for _, e := range events {
		if e.Type == completed {
			return e.DedupKey
		}
	}
	return ""
}
