package notify_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/todo/notification-service/internal/notify"
	"example.com/todo/platform/apperr"
)

const (
	lease  = 30 * time.Second
	memory = 5 * time.Minute // of a refusal
)

// claims is a fake of the Redis claims, kept for several owners.
type claims struct {
	marks     map[string]claim
	refused   map[string]refused
	sent      time.Time
	steps     []string // what was asked
	doneFails bool
}

type claim struct {
	owner string
	until time.Time
	done  bool
}

type refused struct{ since, until time.Time }

func newClaims() *claims {
	return &claims{marks: map[string]claim{}, refused: map[string]refused{}}
}

// of is one process's view of the shared claims.
type of struct {
	*claims
	owner string
}

func (c of) Acquire(_ context.Context, mark string) (notify.Claim, error) {
	c.steps = append(c.steps, "claim "+mark)
	return c.claim(mark), nil
}

func (c of) claim(mark string) notify.Claim {
	held, ok := c.marks[mark]
	switch {
	case ok && held.done:
		return notify.Claim{State: notify.AlreadySent}
	case ok && held.owner != c.owner && time.Now().Before(held.until):
		return notify.Claim{State: notify.LeasedByOther}
	}
	c.marks[mark] = claim{owner: c.owner, until: time.Now().Add(lease)}
	mine := notify.Claim{State: notify.Acquired, ClaimedAt: time.Now(), LastDelivery: c.sent}
	if r := c.refused[mark]; time.Now().Before(r.until) {
		mine.RejectedSince = r.since
	}
	return mine
}

func (c of) RecordSent(_ context.Context, mark, next string) (notify.Claim, error) {
	c.steps = append(c.steps, strings.TrimSpace("done "+mark+" "+next))
	if c.doneFails {
		return notify.Claim{}, errors.New("redis is away")
	}
	c.marks[mark] = claim{owner: c.owner, done: true}
	c.sent = time.Now()
	if next == "" {
		return notify.Claim{}, nil
	}
	return c.claim(next), nil
}

func (c of) RecordRejection(_ context.Context, mark string, since time.Time) error {
	c.refused[mark] = refused{since: since, until: time.Now().Add(memory)}
	return nil
}

// outbox records what was sent; before is called first and may refuse.
type outbox struct {
	sent   []notify.Notification
	before func(ctx context.Context, n notify.Notification) error
}

func (o *outbox) Send(ctx context.Context, n notify.Notification) error {
	if o.before != nil {
		if err := o.before(ctx, n); err != nil {
			return err
		}
	}
	o.sent = append(o.sent, n)
	return nil
}

var at = time.Date(2026, 1, 15, 10, 0, 0, 0, time.UTC)

var learnGo = notify.Event{Type: "task.completed", DedupKey: "task.completed:e1", ID: "e1", TaskID: 1, TaskTitle: "Learn Go", Timestamp: at, Position: "0:7", Traceparent: "00-1"}

// one hands in one event.
func one(t *testing.T, s *notify.Service, e notify.Event) (notify.Outcome, error) {
	t.Helper()
	outcomes, err := s.Notify(t.Context(), []notify.Event{e})
	if err != nil {
		return "", err
	}
	return outcomes[0], nil
}

func TestEachCompletionNotifiesOnce(t *testing.T) {
	t.Parallel()
	again, legacy, copied := learnGo, learnGo, learnGo
	again.DedupKey, again.ID, again.Position = "task.completed:e2", "e2", "0:9"
	legacy.DedupKey, legacy.ID, legacy.Position = "task.completed:1", "", "0:10"
	copied.Position = "0:12"
	tests := map[string]struct {
		events   []notify.Event
		outcomes []notify.Outcome
	}{
		"a completion":                         {[]notify.Event{learnGo}, []notify.Outcome{notify.Sent}},
		"the same record twice":                {[]notify.Event{learnGo, learnGo}, []notify.Outcome{notify.Sent, notify.Duplicate}},
		"a copy elsewhere in the log":          {[]notify.Event{learnGo, copied}, []notify.Outcome{notify.Sent, notify.Duplicate}},
		"completed, reopened, completed again": {[]notify.Event{learnGo, again}, []notify.Outcome{notify.Sent, notify.Sent}},
		"without an id, by the task's mark":    {[]notify.Event{legacy, legacy}, []notify.Outcome{notify.Sent, notify.Duplicate}},
		"other events": {
			[]notify.Event{{Type: "task.created", DedupKey: "a"}, {Type: "task.updated", DedupKey: "b"}, {Type: "task.reopened", DedupKey: "c"}, {Type: "task.deleted", DedupKey: "d"}},
			[]notify.Outcome{notify.Ignored, notify.Ignored, notify.Ignored, notify.Ignored},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			box := &outbox{}
			service := notify.NewService(of{newClaims(), "a"}, box)
			outcomes, err := service.Notify(t.Context(), test.events)
			if err != nil {
				t.Fatal(err)
			}
			sent := 0
			for _, outcome := range outcomes {
				if outcome == notify.Sent {
					sent++
				}
			}
			if diff := cmp.Diff(test.outcomes, outcomes); diff != "" {
				t.Errorf("outcomes (-want +got):\n%s", diff)
			}
			if len(box.sent) != sent {
				t.Errorf("%d sent, want %d", len(box.sent), sent)
			}
		})
	}
}

func TestTheSenderLearnsTheEventAndTheWords(t *testing.T) {
	t.Parallel()
	box := &outbox{}
	service := notify.NewService(of{newClaims(), "a"}, box)
	if _, err := one(t, service, learnGo); err != nil {
		t.Fatal(err)
	}
	want := []notify.Notification{{IdempotencyKey: "e1", EventID: "e1", TaskID: 1, Title: "Learn Go", CompletedAt: at, Traceparent: "00-1"}}
	if diff := cmp.Diff(want, box.sent); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got, want := box.sent[0].Text(), "Notification: Task 'Learn Go' has been completed!"; got != want {
		t.Errorf("text %q, want %q", got, want)
	}
}

func TestACrashBetweenClaimAndSendingLosesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		shared := newClaims()
		dying := notify.NewService(of{shared, "dying"}, &outbox{before: func(context.Context, notify.Notification) error { return errors.New("killed") }})
		if _, err := one(t, dying, learnGo); err == nil {
			t.Fatal("the dying process sent")
		}

		box := &outbox{}
		heir := notify.NewService(of{shared, "heir"}, box)
		_, err := one(t, heir, learnGo)
		if err == nil || apperr.Of(err).Kind != apperr.Unavailable {
			t.Fatalf("while the lease runs: %v, want fault.Unavailable", err)
		}
		time.Sleep(lease) //nolint:forbidigo // the bubble's clock, not the wall's
		if outcome, err := one(t, heir, learnGo); outcome != notify.Sent || err != nil {
			t.Fatalf("after the lease: %q, %v", outcome, err)
		}
		if len(box.sent) != 1 {
			t.Errorf("%d sent, want 1", len(box.sent))
		}
	})
}

func TestARefusingSenderIsAskedAgain(t *testing.T) {
	t.Parallel()
	refusal := errors.New("mail server away")
	box := &outbox{before: func(context.Context, notify.Notification) error { return refusal }}
	service := notify.NewService(of{newClaims(), "a"}, box)
	if _, err := one(t, service, learnGo); !errors.Is(err, refusal) {
		t.Fatalf("got %v, want the sender's refusal", err)
	}
	box.before = nil
	if outcome, err := one(t, service, learnGo); outcome != notify.Sent || err != nil {
		t.Fatalf("got %q, %v", outcome, err)
	}
	if len(box.sent) != 1 {
		t.Errorf("%d sent, want 1", len(box.sent))
	}
}

func TestWhatWasSentWhileTheMarkFailedIsNotSentAgain(t *testing.T) {
	t.Parallel()
	shared := newClaims()
	shared.doneFails = true
	box := &outbox{}
	service := notify.NewService(of{shared, "a"}, box)
	if _, err := one(t, service, learnGo); err == nil {
		t.Fatal("no error although Done failed")
	}
	shared.doneFails = false
	if outcome, err := one(t, service, learnGo); outcome != notify.Sent || err != nil {
		t.Fatalf("got %q, %v", outcome, err)
	}
	if len(box.sent) != 1 {
		t.Errorf("%d sent, want 1", len(box.sent))
	}
	if !shared.marks["task.completed:e1"].done {
		t.Error("the mark is not done")
	}
}

// Without ids the mark is the task's, so what was remembered of one completion
// must not swallow the next.
func TestAnUnwrittenMarkDoesNotSwallowALaterRecord(t *testing.T) {
	t.Parallel()
	shared := newClaims()
	shared.doneFails = true
	box := &outbox{}
	service := notify.NewService(of{shared, "a"}, box)
	first, later := learnGo, learnGo
	later.Position = "0:99"
	if _, err := one(t, service, first); err == nil {
		t.Fatal("no error although Done failed")
	}
	clear(shared.marks)
	shared.doneFails = false
	if outcome, err := one(t, service, later); outcome != notify.Sent || err != nil {
		t.Fatalf("got %q, %v", outcome, err)
	}
	if len(box.sent) != 2 {
		t.Errorf("%d sent, want 2", len(box.sent))
	}
}
