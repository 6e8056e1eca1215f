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
	lease        = 30 * time.Second
	rejectionTTL = 5 * time.Minute
)

// fakeClaims keeps the claims of several owners in memory.
type fakeClaims struct {
	keys        map[string]claim
	rejected    map[string]rejection
	sent        time.Time
	steps       []string // the calls
	recordFails bool
}

type claim struct {
	owner string
	until time.Time
	done  bool
}

type rejection struct{ since, until time.Time }

func newFakeClaims() *fakeClaims {
	return &fakeClaims{keys: map[string]claim{}, rejected: map[string]rejection{}}
}

// ownedBy is the claim store of one process.
type ownedBy struct {
	*fakeClaims
	owner string
}

func (c ownedBy) Acquire(_ context.Context, key string) (notify.Claim, error) {
	c.steps = append(c.steps, "acquire "+key)
	return c.claim(key), nil
}

func (c ownedBy) claim(key string) notify.Claim {
	held, ok := c.keys[key]
	switch {
	case ok && held.done:
		return notify.Claim{State: notify.AlreadySent}
	case ok && held.owner != c.owner && time.Now().Before(held.until):
		return notify.Claim{State: notify.LeasedByOther}
	}
	c.keys[key] = claim{owner: c.owner, until: time.Now().Add(lease)}
	acquired := notify.Claim{State: notify.Acquired, ClaimedAt: time.Now(), LastDelivery: c.sent}
	if r := c.rejected[key]; time.Now().Before(r.until) {
		acquired.RejectedSince = r.since
	}
	return acquired
}

func (c ownedBy) RecordSent(_ context.Context, key, next string) (notify.Claim, error) {
	c.steps = append(c.steps, strings.TrimSpace("sent "+key+" "+next))
	if c.recordFails {
		return notify.Claim{}, errors.New("redis is down")
	}
	c.keys[key] = claim{owner: c.owner, done: true}
	c.sent = time.Now()
	if next == "" {
		return notify.Claim{}, nil
	}
	return c.claim(next), nil
}

func (c ownedBy) RecordRejection(_ context.Context, key string, since time.Time) error {
	c.rejected[key] = rejection{since: since, until: time.Now().Add(rejectionTTL)}
	return nil
}

// fakeSender records what was sent; before is called first and may fail.
type fakeSender struct {
	sent   []notify.Notification
	before func(ctx context.Context, n notify.Notification) error
}

func (s *fakeSender) Send(ctx context.Context, n notify.Notification) error {
	if s.before != nil {
		if err := s.before(ctx, n); err != nil {
			return err
		}
	}
	s.sent = append(s.sent, n)
	return nil
}

// newService returns the service of one process over fakes.
func newService() (*notify.Service, *fakeClaims, *fakeSender) {
	claims, sender := newFakeClaims(), &fakeSender{}
	return notify.NewService(ownedBy{claims, "a"}, sender), claims, sender
}

var at = time.Date(2026, 1, 15, 10, 0, 0, 0, time.UTC)

var learnGo = notify.Event{Type: "task.completed", DedupKey: "task.completed:e1", ID: "e1", TaskID: 1, TaskTitle: "Learn Go", Timestamp: at, Position: "0:7", Traceparent: "00-1"}

// notifyOne passes one event to the service.
func notifyOne(t *testing.T, s *notify.Service, e notify.Event) (notify.Outcome, error) {
	t.Helper()
	outcomes, err := s.Notify(t.Context(), []notify.Event{e})
	if err != nil {
		return "", err
	}
	return outcomes[0], nil
}

func TestServiceNotifiesOnceForEachCompletion(t *testing.T) {
	t.Parallel()
	again, legacy, copied := learnGo, learnGo, learnGo
	again.DedupKey, again.ID, again.Position = "task.completed:e2", "e2", "0:9"
	legacy.DedupKey, legacy.ID, legacy.Position = "task.completed:1", "", "0:10"
	copied.Position = "0:12"
	tests := map[string]struct {
		events   []notify.Event
		outcomes []notify.Outcome
	}{
		"a completion":                           {[]notify.Event{learnGo}, []notify.Outcome{notify.Sent}},
		"the same record twice":                  {[]notify.Event{learnGo, learnGo}, []notify.Outcome{notify.Sent, notify.Duplicate}},
		"a copy elsewhere in the log":            {[]notify.Event{learnGo, copied}, []notify.Outcome{notify.Sent, notify.Duplicate}},
		"completed, reopened, completed again":   {[]notify.Event{learnGo, again}, []notify.Outcome{notify.Sent, notify.Sent}},
		"without an id, by the task's dedup key": {[]notify.Event{legacy, legacy}, []notify.Outcome{notify.Sent, notify.Duplicate}},
		"other events": {
			[]notify.Event{{Type: "task.created", DedupKey: "a"}, {Type: "task.updated", DedupKey: "b"}, {Type: "task.reopened", DedupKey: "c"}, {Type: "task.deleted", DedupKey: "d"}, {Type: "task.archived", DedupKey: "e"}},
			[]notify.Outcome{notify.Ignored, notify.Ignored, notify.Ignored, notify.Ignored, notify.Ignored},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			service, _, sink := newService()
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
			if len(sink.sent) != sent {
				t.Errorf("%d sent, want %d", len(sink.sent), sent)
			}
		})
	}
}

func TestSenderReceivesTheEventAndTheText(t *testing.T) {
	t.Parallel()
	service, _, sink := newService()
	if _, err := notifyOne(t, service, learnGo); err != nil {
		t.Fatal(err)
	}
	want := []notify.Notification{{IdempotencyKey: "e1", EventID: "e1", TaskID: 1, Title: "Learn Go", CompletedAt: at, Traceparent: "00-1"}}
	if diff := cmp.Diff(want, sink.sent); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got, want := sink.sent[0].Text(), "Notification: Task 'Learn Go' has been completed!"; got != want {
		t.Errorf("text %q, want %q", got, want)
	}
}

func TestServiceSendsAfterACrashBetweenClaimAndSend(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		shared := newFakeClaims()
		crashing := notify.NewService(ownedBy{shared, "crashing"}, &fakeSender{before: func(context.Context, notify.Notification) error { return errors.New("killed") }})
		if _, err := notifyOne(t, crashing, learnGo); err == nil {
			t.Fatal("the crashing process sent")
		}

		sink := &fakeSender{}
		successor := notify.NewService(ownedBy{shared, "successor"}, sink)
		_, err := notifyOne(t, successor, learnGo)
		if err == nil || apperr.Of(err).Kind != apperr.Unavailable {
			t.Fatalf("while the lease runs: %v, want fault.Unavailable", err)
		}
		time.Sleep(lease) //nolint:forbidigo // the bubble's clock, not the wall's
		if outcome, err := notifyOne(t, successor, learnGo); outcome != notify.Sent || err != nil {
			t.Fatalf("after the lease: %q, %v", outcome, err)
		}
		if len(sink.sent) != 1 {
			t.Errorf("%d sent, want 1", len(sink.sent))
		}
	})
}

func TestServiceRetriesAFailedSend(t *testing.T) {
	t.Parallel()
	failure := errors.New("mail server down")
	service, _, sink := newService()
	sink.before = func(context.Context, notify.Notification) error { return failure }
	if _, err := notifyOne(t, service, learnGo); !errors.Is(err, failure) {
		t.Fatalf("got %v, want the sender's failure", err)
	}
	sink.before = nil
	if outcome, err := notifyOne(t, service, learnGo); outcome != notify.Sent || err != nil {
		t.Fatalf("got %q, %v", outcome, err)
	}
	if len(sink.sent) != 1 {
		t.Errorf("%d sent, want 1", len(sink.sent))
	}
}

func TestServiceDoesNotResendAfterRecordSentFailed(t *testing.T) {
	t.Parallel()
	service, shared, sink := newService()
	shared.recordFails = true
	if _, err := notifyOne(t, service, learnGo); err == nil {
		t.Fatal("no error although RecordSent failed")
	}
	shared.recordFails = false
	if outcome, err := notifyOne(t, service, learnGo); outcome != notify.Sent || err != nil {
		t.Fatalf("got %q, %v", outcome, err)
	}
	if len(sink.sent) != 1 {
		t.Errorf("%d sent, want 1", len(sink.sent))
	}
	if !shared.keys["task.completed:e1"].done {
		t.Error("the send is not recorded")
	}
}

// Without event ids, two completions of a task have the same dedup key.
func TestUnrecordedSendDoesNotSuppressALaterRecord(t *testing.T) {
	t.Parallel()
	service, shared, sink := newService()
	shared.recordFails = true
	first, later := learnGo, learnGo
	later.Position = "0:99"
	if _, err := notifyOne(t, service, first); err == nil {
		t.Fatal("no error although RecordSent failed")
	}
	clear(shared.keys)
	shared.recordFails = false
	if outcome, err := notifyOne(t, service, later); outcome != notify.Sent || err != nil {
		t.Fatalf("got %q, %v", outcome, err)
	}
	if len(sink.sent) != 2 {
		t.Errorf("%d sent, want 2", len(sink.sent))
	}
}
