package notify_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/todo/notification-service/internal/notify"
	"example.com/todo/platform/fault"
)

const lease = 30 * time.Second

// claims is a fake of the Redis claims, kept for several owners.
type claims struct {
	marks     map[string]claim
	doneFails bool
}

type claim struct {
	owner string
	until time.Time
	done  bool
}

// of is one process's view of the shared claims.
type of struct {
	*claims
	owner string
}

func (c of) Claim(_ context.Context, mark string) (notify.State, error) {
	held, ok := c.marks[mark]
	switch {
	case ok && held.done:
		return notify.Done, nil
	case ok && held.owner != c.owner && time.Now().Before(held.until):
		return notify.Busy, nil
	}
	c.marks[mark] = claim{owner: c.owner, until: time.Now().Add(lease)}
	return notify.Mine, nil
}

func (c of) Done(_ context.Context, mark string) error {
	if c.doneFails {
		return errors.New("redis is away")
	}
	c.marks[mark] = claim{owner: c.owner, done: true}
	return nil
}

// outbox records what was sent; before is called first and may refuse.
type outbox struct {
	sent   []notify.Notification
	before func() error
}

func (o *outbox) Send(_ context.Context, n notify.Notification) error {
	if o.before != nil {
		if err := o.before(); err != nil {
			return err
		}
	}
	o.sent = append(o.sent, n)
	return nil
}

var learnGo = notify.Event{Type: "task.completed", Mark: "task.completed:e1", ID: "e1", TaskID: 1, TaskTitle: "Learn Go", Place: "0:7"}

func TestEachCompletionNotifiesOnce(t *testing.T) {
	t.Parallel()
	again, legacy, copied := learnGo, learnGo, learnGo
	again.Mark, again.ID, again.Place = "task.completed:e2", "e2", "0:9"
	legacy.Mark, legacy.ID, legacy.Place = "task.completed:1", "", "0:10"
	copied.Place = "0:12"
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
			[]notify.Event{{Type: "task.created", Mark: "a"}, {Type: "task.updated", Mark: "b"}, {Type: "task.reopened", Mark: "c"}, {Type: "task.deleted", Mark: "d"}},
			[]notify.Outcome{notify.Ignored, notify.Ignored, notify.Ignored, notify.Ignored},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			box := &outbox{}
			service := notify.NewService(of{&claims{marks: map[string]claim{}}, "a"}, box)
			var outcomes []notify.Outcome
			sent := 0
			for _, e := range test.events {
				outcome, err := service.Notify(t.Context(), e)
				if err != nil {
					t.Fatal(err)
				}
				if outcome == notify.Sent {
					sent++
				}
				outcomes = append(outcomes, outcome)
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
	service := notify.NewService(of{&claims{marks: map[string]claim{}}, "a"}, box)
	if _, err := service.Notify(t.Context(), learnGo); err != nil {
		t.Fatal(err)
	}
	want := []notify.Notification{{EventID: "e1", TaskID: 1, Title: "Learn Go"}}
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
		shared := &claims{marks: map[string]claim{}}
		dying := notify.NewService(of{shared, "dying"}, &outbox{before: func() error { return errors.New("killed") }})
		if _, err := dying.Notify(t.Context(), learnGo); err == nil {
			t.Fatal("the dying process sent")
		}

		box := &outbox{}
		heir := notify.NewService(of{shared, "heir"}, box)
		_, err := heir.Notify(t.Context(), learnGo)
		if err == nil || fault.Of(err).Kind != fault.Unavailable {
			t.Fatalf("while the lease runs: %v, want fault.Unavailable", err)
		}
		time.Sleep(lease) //nolint:forbidigo // the bubble's clock, not the wall's
		if outcome, err := heir.Notify(t.Context(), learnGo); outcome != notify.Sent || err != nil {
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
	box := &outbox{before: func() error { return refusal }}
	service := notify.NewService(of{&claims{marks: map[string]claim{}}, "a"}, box)
	if _, err := service.Notify(t.Context(), learnGo); !errors.Is(err, refusal) {
		t.Fatalf("got %v, want the sender's refusal", err)
	}
	box.before = nil
	if outcome, err := service.Notify(t.Context(), learnGo); outcome != notify.Sent || err != nil {
		t.Fatalf("got %q, %v", outcome, err)
	}
	if len(box.sent) != 1 {
		t.Errorf("%d sent, want 1", len(box.sent))
	}
}

func TestWhatWasSentWhileTheMarkFailedIsNotSentAgain(t *testing.T) {
	t.Parallel()
	shared := &claims{marks: map[string]claim{}, doneFails: true}
	box := &outbox{}
	service := notify.NewService(of{shared, "a"}, box)
	if _, err := service.Notify(t.Context(), learnGo); err == nil {
		t.Fatal("no error although Done failed")
	}
	shared.doneFails = false
	if outcome, err := service.Notify(t.Context(), learnGo); outcome != notify.Sent || err != nil {
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
	shared := &claims{marks: map[string]claim{}, doneFails: true}
	box := &outbox{}
	service := notify.NewService(of{shared, "a"}, box)
	first, later := learnGo, learnGo
	later.Place = "0:99"
	if _, err := service.Notify(t.Context(), first); err == nil {
		t.Fatal("no error although Done failed")
	}
	clear(shared.marks)
	shared.doneFails = false
	if outcome, err := service.Notify(t.Context(), later); outcome != notify.Sent || err != nil {
		t.Fatalf("got %q, %v", outcome, err)
	}
	if len(box.sent) != 2 {
		t.Errorf("%d sent, want 2", len(box.sent))
	}
}
