package notify_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/todo/notification-service/internal/notify"
)

// events returns one event of each type, with the dedup keys m0, m1, …
func events(types ...string) []notify.Event {
	var all []notify.Event
	for i, kind := range types {
		all = append(all, notify.Event{Type: kind, DedupKey: fmt.Sprint("m", i), ID: fmt.Sprint("e", i), Position: fmt.Sprint("0:", i)})
	}
	return all
}

func TestServiceNeedsOneStepForEachCompletionOfABatch(t *testing.T) {
	t.Parallel()
	service, shared, _ := newService()
	batch := events("task.created", "task.completed", "task.updated", "task.completed", "task.completed", "task.deleted")
	outcomes, err := service.Notify(t.Context(), batch)
	if err != nil {
		t.Fatal(err)
	}
	want := []notify.Outcome{notify.Ignored, notify.Sent, notify.Ignored, notify.Sent, notify.Sent, notify.Ignored}
	if diff := cmp.Diff(want, outcomes); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"acquire m1", "sent m1 m3", "sent m3 m4", "sent m4"}, shared.steps); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
}

// Leases that all started with the batch would expire before its end.
func TestServiceAcquiresAKeyOnlyAfterThePreviousSend(t *testing.T) {
	t.Parallel()
	shared := newFakeClaims()
	service := notify.NewService(ownedBy{shared, "a"}, &fakeSender{before: func(_ context.Context, n notify.Notification) error {
		if want := 1 + int(n.EventID[1]-'0'); len(shared.keys) != want {
			t.Errorf("%s is being sent and %d keys are leased or sent, want %d", n.EventID, len(shared.keys), want)
		}
		return nil
	}})
	if _, err := service.Notify(t.Context(), events("task.completed", "task.completed", "task.completed")); err != nil {
		t.Fatal(err)
	}
}

func TestServiceSkipsWithinABatchWhatWasSentBefore(t *testing.T) {
	t.Parallel()
	service, _, sink := newService()
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
	if len(sink.sent) != 3 {
		t.Errorf("%d sent, want 3", len(sink.sent))
	}
}

func TestServiceKeepsTheOutcomesBeforeAFailure(t *testing.T) {
	t.Parallel()
	down := errors.New("receiver down")
	shared, sink := newFakeClaims(), &fakeSender{}
	sink.before = func(_ context.Context, n notify.Notification) error {
		if n.EventID == "e2" {
			return down
		}
		return nil
	}
	service := notify.NewService(ownedBy{shared, "a"}, sink)
	batch := events("task.completed", "task.created", "task.completed", "task.completed")
	outcomes, err := service.Notify(t.Context(), batch)
	if !errors.Is(err, down) {
		t.Fatalf("got %v, want the sender's error", err)
	}
	if diff := cmp.Diff([]notify.Outcome{notify.Sent, notify.Ignored}, outcomes); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
	sink.before = nil
	if _, err := service.Notify(t.Context(), batch[2:]); err != nil {
		t.Fatal(err)
	}
	if len(sink.sent) != 3 {
		t.Errorf("%d sent, want 3", len(sink.sent))
	}
}

// A request that is cut off may have been delivered, and would be sent again.
func TestServiceFinishesASendAfterItsContextEnded(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	shared, sink := newFakeClaims(), &fakeSender{}
	sink.before = func(ctx context.Context, _ notify.Notification) error {
		stop()
		return ctx.Err()
	}
	failing := failsWhenEnded{ownedBy{shared, "a"}}
	outcomes, err := notify.NewService(failing, sink).Notify(ctx, events("task.completed", "task.completed"))
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want the context's end", err)
	}
	if diff := cmp.Diff([]notify.Outcome{notify.Sent}, outcomes); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
	if !shared.keys["m0"].done {
		t.Error("the send is not recorded")
	}
	if _, claimed := shared.keys["m1"]; claimed {
		t.Error("the next key was acquired: the next process has to wait for the lease")
	}
}

// failsWhenEnded fails after ctx ended, as a Redis client does.
type failsWhenEnded struct{ ownedBy }

func (f failsWhenEnded) Acquire(ctx context.Context, key string) (notify.Claim, error) {
	if err := ctx.Err(); err != nil {
		return notify.Claim{}, err
	}
	return f.ownedBy.Acquire(ctx, key)
}

func (f failsWhenEnded) RecordSent(ctx context.Context, key, next string) (notify.Claim, error) {
	if err := ctx.Err(); err != nil {
		return notify.Claim{}, err
	}
	return f.ownedBy.RecordSent(ctx, key, next)
}
