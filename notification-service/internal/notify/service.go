package notify

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"example.com/todo/platform/apperr"
)

// Sender delivers. An error means that it may not have been delivered; the same
// notification is then sent again, unless it is ErrRejected for too long. A
// sender keeps to a time of its own, well below the lease of a claim.
type Sender interface {
	Send(ctx context.Context, n Notification) error
}

// Outcome says what became of an event.
type Outcome string

// The outcomes.
const (
	Sent      Outcome = "sent"
	Duplicate Outcome = "duplicate" // its notification was sent before
	Ignored   Outcome = "ignored"   // not an event that notifies
)

// Service notifies.
type Service struct {
	claims ClaimStore
	sender Sender

	mu             sync.Mutex
	sentUnrecorded map[string]string // mark → place of what was sent while Done could not be written
}

// NewService returns the service over its claims and its sender.
func NewService(claims ClaimStore, sender Sender) *Service {
	return &Service{claims: claims, sender: sender, sentUnrecorded: map[string]string{}}
}

// Notify sends the notifications of the events, one after the other, unless they
// were sent before. It returns what became of the events up to one that the
// error is about; that one and the rest are to be handed in again: they are sent
// then, or found sent. The error is ErrGivenUp when that is in vain, and
// fault.Unavailable while another replica holds the claim, which lasts a lease
// at most. When ctx ends, what is being sent is brought to its end first.
//
// The claim comes before the sending and Done after it, so a crash in between
// leaves a claim that runs out, never a notification that is lost. Done claims
// the next, so each costs one step.
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

// acquire returns a claim that is Mine or Done: the one made ahead, if any.
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
		s.forgetUnrecorded(e.DedupKey)
	}
	return *prefetched, nil
}

// sendAndRecord sends what is claimed, and claims the next of the rest. Once begun it
// does not end with ctx: cut off, it would be sent twice.
func (s *Service) sendAndRecord(ctx context.Context, e Event, claim Claim, rest []Event) (prefetched *Claim, err error) {
	sendCtx := context.WithoutCancel(ctx)
	if !s.wasSentUnrecorded(e.DedupKey, e.Position) {
		if err := s.sender.Send(sendCtx, e.notification()); err != nil {
			return nil, s.handleSendError(sendCtx, e.DedupKey, claim, err)
		}
	}
	next := ""
	if ctx.Err() == nil {
		next = nextDedupKey(rest)
	}
	claimed, err := s.claims.RecordSent(sendCtx, e.DedupKey, next)
	if err != nil {
		s.rememberUnrecorded(e.DedupKey, e.Position)
		return nil, err
	}
	s.forgetUnrecorded(e.DedupKey)
	if next == "" {
		return nil, nil
	}
	return &claimed, nil
}

// handleSendError says what the sender's error means for the event.
func (s *Service) handleSendError(ctx context.Context, mark string, claim Claim, err error) error {
	switch {
	case !errors.Is(err, ErrRejected):
		return err
	case claim.rejectedForGood():
		return fmt.Errorf("%w: %w", ErrGivenUp, err)
	default:
		return errors.Join(err, s.claims.RecordRejection(ctx, mark, claim.rejectionStart()))
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

func (s *Service) wasSentUnrecorded(mark, place string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	sent, ok := s.sentUnrecorded[mark]
	return ok && sent == place
}

func (s *Service) rememberUnrecorded(mark, place string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sentUnrecorded[mark] = place
}

func (s *Service) forgetUnrecorded(mark string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sentUnrecorded, mark)
}
