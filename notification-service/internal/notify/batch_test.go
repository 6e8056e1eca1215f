package notify_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/todo/notification-service/internal/notify"
)

// events are of the types given, with the marks m0, m1, …
func events(types ...string) []notify.Event {
	var all []notify.Event
	for i, kind := range types {
		all = append(all, notify.Event{Type: kind, DedupKey: fmt.Sprint("m", i), ID: fmt.Sprint("e", i), Position: fmt.Sprint("0:", i)})
	}
	return all
}

func TestEachCompletionOfABatchCostsOneStep(t *testing.T) {
	t.Parallel()
	shared, box := newClaims(), &outbox{}
	service := notify.NewService(of{shared, "a"}, box)
	batch := events("task.created", "task.completed", "task.updated", "task.completed", "task.completed", "task.deleted")
	outcomes, err := service.Notify(t.Context(), batch)
	if err != nil {
		t.Fatal(err)
	}
	want := []notify.Outcome{notify.Ignored, notify.Sent, notify.Ignored, notify.Sent, notify.Sent, notify.Ignored}
	if diff := cmp.Diff(want, outcomes); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"claim m1", "done m1 m3", "done m3 m4", "done m4"}, shared.steps); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
}

// A lease that began when the batch did would run out before its end.
func TestNothingIsClaimedBeforeTheOneBeforeItIsSent(t *testing.T) {
	t.Parallel()
	shared := newClaims()
	service := notify.NewService(of{shared, "a"}, &outbox{before: func(_ context.Context, n notify.Notification) error {
		if want := 1 + int(n.EventID[1]-'0'); len(shared.marks) != want {
			t.Errorf("%s is sent and %d are claimed or done, want %d", n.EventID, len(shared.marks), want)
		}
		return nil
	}})
	if _, err := service.Notify(t.Context(), events("task.completed", "task.completed", "task.completed")); err != nil {
		t.Fatal(err)
	}
}

func TestWhatWasSentBeforeIsPassedOverWithinABatch(t *testing.T) {
	t.Parallel()
	shared, box := newClaims(), &outbox{}
	service := notify.NewService(of{shared, "a"}, box)
	batch := events("task.completed", "task.completed", "task.completed", "task.completed")
	batch[3].DedupKey = batch[2].DedupKey
	if _, err := service.Notify(t.Context(), batch[1:2]); err != nil {
		t.Fatal(err)
	}
	outcomes, err := service.Notify(t.Context(), batch)
	if err != nil {
		t.Fatal(err)
	}
	want := []notify.Outcome{notify.Sent, notify.Duplicate, notify.Sent, notify.Duplicate}
	if diff := cmp.Diff(want, outcomes); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
	if len(box.sent) != 3 {
		t.Errorf("%d sent, want 3", len(box.sent))
	}
}

func TestAFailureKeepsWhatTheBatchHasDone(t *testing.T) {
	t.Parallel()
	away := errors.New("receiver away")
	shared, box := newClaims(), &outbox{}
	box.before = func(_ context.Context, n notify.Notification) error {
		if n.EventID == "e2" {
			return away
		}
		return nil
	}
	service := notify.NewService(of{shared, "a"}, box)
	batch := events("task.completed", "task.created", "task.completed", "task.completed")
	outcomes, err := service.Notify(t.Context(), batch)
	if !errors.Is(err, away) {
		t.Fatalf("got %v, want the sender's error", err)
	}
	if diff := cmp.Diff([]notify.Outcome{notify.Sent, notify.Ignored}, outcomes); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
	box.before = nil
	if _, err := service.Notify(t.Context(), batch[2:]); err != nil {
		t.Fatal(err)
	}
	if len(box.sent) != 3 {
		t.Errorf("%d sent, want 3", len(box.sent))
	}
}

// A sending that is cut off may have arrived, and would be sent again.
func TestASendingIsBroughtToItsEndAlthoughTheBatchIsToStop(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	shared, box := newClaims(), &outbox{}
	box.before = func(ctx context.Context, _ notify.Notification) error {
		stop()
		return ctx.Err()
	}
	failing := failsWhenEnded{of{shared, "a"}}
	outcomes, err := notify.NewService(failing, box).Notify(ctx, events("task.completed", "task.completed"))
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want the context's end", err)
	}
	if diff := cmp.Diff([]notify.Outcome{notify.Sent}, outcomes); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
	if !shared.marks["m0"].done {
		t.Error("what was sent is not done")
	}
	if _, claimed := shared.marks["m1"]; claimed {
		t.Error("the next was claimed: whoever goes on has to wait for the lease")
	}
}

// failsWhenEnded does as a client of Redis does.
type failsWhenEnded struct{ of }

func (f failsWhenEnded) Acquire(ctx context.Context, mark string) (notify.Claim, error) {
	if err := ctx.Err(); err != nil {
		return notify.Claim{}, err
	}
	return f.of.Acquire(ctx, mark)
}

func (f failsWhenEnded) RecordSent(ctx context.Context, mark, next string) (notify.Claim, error) {
	if err := ctx.Err(); err != nil {
		return notify.Claim{}, err
	}
	return f.of.RecordSent(ctx, mark, next)
}
