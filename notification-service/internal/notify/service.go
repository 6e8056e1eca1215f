package notify

import (
	"context"
	"sync"

	"example.com/todo/platform/fault"
)

// State is what a claim found.
type State int

// The states.
const (
	Mine State = iota // claimed by us, now or on an earlier try: send
	Done              // sent before, by whoever: leave it
	Busy              // claimed by another who may still be sending
)

// Claims remembers what was sent and what is being sent, outside the process.
// A mark is an event's identity: no method takes anything else, so nothing is
// sent that could not be recognised when it comes again.
type Claims interface {
	// Claim reserves the mark for this process for the length of a lease, or
	// says who was first. Claiming one's own mark renews the lease.
	Claim(ctx context.Context, mark string) (State, error)
	// Done records that the notification was sent. A mark that another holds by
	// now is left as it is.
	Done(ctx context.Context, mark string) error
}

// Sender delivers. An error means that it may not have been delivered; the same
// notification is then sent again.
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
	claims Claims
	sender Sender

	mu       sync.Mutex
	unmarked map[string]string // mark → place of what was sent while Done could not be written
}

// NewService returns the service over its claims and its sender.
func NewService(claims Claims, sender Sender) *Service {
	return &Service{claims: claims, sender: sender, unmarked: map[string]string{}}
}

// Notify sends the event's notification, unless it was sent before. After an
// error the same event is to be handed in again: it is sent then, or found sent.
// The error is fault.Unavailable while another replica holds the claim, which
// lasts a lease at most.
//
// The claim comes before the sending and Done after it, so a crash in between
// leaves a claim that runs out, never a notification that is lost.
func (s *Service) Notify(ctx context.Context, e Event) (Outcome, error) {
	if e.Type != completed {
		return Ignored, nil
	}
	mark := e.Mark
	state, err := s.claims.Claim(ctx, mark)
	if err != nil {
		return "", err
	}
	switch state {
	case Done:
		s.forget(mark)
		return Duplicate, nil
	case Busy:
		return "", fault.New(fault.Unavailable, "another replica is sending the notification of %s", mark)
	}
	if !s.sentAlready(mark, e.Place) {
		n := Notification{EventID: e.ID, TaskID: e.TaskID, Title: e.TaskTitle}
		if err := s.sender.Send(ctx, n); err != nil {
			return "", err
		}
	}
	if err := s.claims.Done(ctx, mark); err != nil {
		s.remember(mark, e.Place)
		return "", err
	}
	s.forget(mark)
	return Sent, nil
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
