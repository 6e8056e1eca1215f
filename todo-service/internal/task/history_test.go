package task_test

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"example.com/todo/todo-service/internal/task"
)

// The other services rely on these invariants: the version counts the events, and
// without an event nothing changes.
func TestApplyIncrementsTheVersionExactlyWithEachEvent(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		now := early
		current, err := task.New("Learn Go", 0, now)
		if err != nil {
			t.Fatal(err)
		}
		for range rapid.IntRange(1, 30).Draw(t, "changes") {
			now = now.Add(time.Second)
			before := current
			event, err := current.Apply(changes().Draw(t, "change"), now)
			switch {
			case err != nil || event == "":
				if current != before {
					t.Fatalf("no event, yet %+v became %+v", before, current)
				}
			case current.Version != before.Version+1:
				t.Fatalf("%s took version %d to %d", event, before.Version, current.Version)
			case event != eventOf(before.Done, current.Done):
				t.Fatalf("done from %t to %t is %s", before.Done, current.Done, event)
			}
			if err != nil && event != "" {
				t.Fatalf("got both an error (%v) and an event (%s)", err, event)
			}
			if current.Done != (current.CompletedAt != nil) {
				t.Fatalf("done is %t, completed at %v", current.Done, current.CompletedAt)
			}
			if current.Title == "" || strings.TrimSpace(current.Title) != current.Title || current.Priority < 0 || current.Priority > task.MaxPriority {
				t.Fatalf("out of bounds: %+v", current)
			}
		}
	})
}

func changes() *rapid.Generator[task.Change] {
	titles := rapid.Ptr(rapid.OneOf(rapid.SampledFrom([]string{"Learn Go", " Learn Go", "Learn more"}), rapid.String()), true)
	priorities := rapid.Ptr(rapid.OneOf(rapid.IntRange(0, 2), rapid.Int()), true)
	return rapid.Custom(func(t *rapid.T) task.Change {
		return task.Change{
			Title:    titles.Draw(t, "title"),
			Priority: priorities.Draw(t, "priority"),
			Done:     rapid.Ptr(rapid.Bool(), true).Draw(t, "done"),
		}
	})
}

func eventOf(before, after bool) task.EventType {
	switch {
	case after && !before:
		return task.Completed
	case before && !after:
		return task.Reopened
	}
	return task.Updated
}
