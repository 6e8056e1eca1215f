package notify

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"example.com/todo/platform/apperr"
)

// Sender delivers. An error means that it may not have been delivered; the same
// notification is then sent again, unless it is ErrRefused for too long. A
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

	mu       sync.Mutex
	unmarked map[string]string // mark → place of what was sent while Done could not be written
}

// NewService returns the service over its claims and its sender.
func NewService(claims ClaimStore, sender Sender) *Service {
	return &Service{claims: claims, sender: sender, unmarked: map[string]string{}}
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
	var ahead *Claim // of the next completion
	for i, e := range events {
		outcome := Ignored
		if e.Type == completed {
			claim, err := s.claim(ctx, e, ahead)
			if err != nil {
				return outcomes, err
			}
			if outcome, ahead = Duplicate, nil; claim.State == Acquired {
				outcome = Sent
				if ahead, err = s.send(ctx, e, claim, events[i+1:]); err != nil {
					return outcomes, err
				}
			}
		}
		outcomes = append(outcomes, outcome)
	}
	return outcomes, nil
}

// claim returns a claim that is Mine or Done: the one made ahead, if any.
func (s *Service) claim(ctx context.Context, e Event, ahead *Claim) (Claim, error) {
	if ahead == nil {
		claim, err := s.claims.Claim(ctx, e.DedupKey)
		if err != nil {
			return Claim{}, err
		}
		ahead = &claim
	}
	switch ahead.State {
	case LeasedByOther:
		return Claim{}, apperr.New(apperr.Unavailable, "another replica is sending the notification of %s", e.DedupKey)
	case AlreadySent:
		s.forget(e.DedupKey)
	}
	return *ahead, nil
}

// send sends what is claimed, and claims the next of the rest. Once begun it
// does not end with ctx: cut off, it would be sent twice.
func (s *Service) send(ctx context.Context, e Event, claim Claim, rest []Event) (ahead *Claim, err error) {
	lasting := context.WithoutCancel(ctx)
	if !s.sentAlready(e.DedupKey, e.Place) {
		if err := s.sender.Send(lasting, e.notification()); err != nil {
			return nil, s.refused(lasting, e.DedupKey, claim, err)
		}
	}
	next := ""
	if ctx.Err() == nil {
		next = nextMark(rest)
	}
	claimed, err := s.claims.Done(lasting, e.DedupKey, next)
	if err != nil {
		s.remember(e.DedupKey, e.Place)
		return nil, err
	}
	s.forget(e.DedupKey)
	if next == "" {
		return nil, nil
	}
	return &claimed, nil
}

// refused says what the sender's error means for the event.
func (s *Service) refused(ctx context.Context, mark string, claim Claim, err error) error {
	switch {
	case !errors.Is(err, ErrRefused):
		return err
	case claim.hopeless():
		return fmt.Errorf("%w: %w", ErrGivenUp, err)
	default:
		return errors.Join(err, s.claims.RecordRejection(ctx, mark, claim.refusedSince()))
	}
}

func nextMark(events []Event) string {
	for _, e := range events {
		if e.Type == completed {
			return e.DedupKey
		}
	}
	return ""
}

func (s *Service) sentAlready(mark, place string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	sent, ok := s.unmarked[mark]
	return ok && sent == place
}

func (s *Service) remember(mark, place string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unmarked[mark] = place
}

func (s *Service) forget(mark string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.unmarked, mark)
}
