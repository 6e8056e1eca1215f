package web

import (
	"slices"
	"testing"
	"time"

	"example.com/todo/todo-service/internal/task"
)

func TestPriorityHasTheNameOfItsLevel(t *testing.T) {
	t.Parallel()
	for priority, want := range map[int]string{0: "low", 1: "normal", 49: "normal", 50: "high", 74: "high", 75: "urgent", 100: "urgent"} {
		if got := priorityName(priority); got != want {
			t.Errorf("%d is %s, want %s", priority, got, want)
		}
	}
}

func TestSelectedOptionHasThePriorityItself(t *testing.T) {
	t.Parallel()
	for priority, want := range map[int]string{0: "0", 7: "7", 50: "50", 99: "99"} {
		var selected []string
		for _, o := range priorityOptions(priority) {
			if o.Selected {
				selected = append(selected, o.Value)
			}
		}
		if len(selected) != 1 || selected[0] != want {
			t.Errorf("%d: selected %q", priority, selected)
		}
	}
}

func TestHistoryBeginsWithWhatWasNotPurged(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 10, 10, 0, 0, 0, time.UTC)
	updated := task.Event{Type: task.Updated, Task: task.Task{Title: "A", Priority: 50}, At: now}
	want := []historyLine{{now, "Changed to priority high (50):", "A"}}
	if got := describeHistory([]task.Event{updated}); !slices.Equal(got, want) {
		t.Errorf("got %+v", got)
	}
}

func TestAgeIsInTheLargestUnit(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 10, 10, 0, 0, 0, time.UTC)
	for d, want := range map[time.Duration]string{
		-time.Minute:        "now",
		59 * time.Second:    "now",
		time.Minute:         "1 min",
		59 * time.Minute:    "59 min",
		time.Hour:           "1 h",
		23 * time.Hour:      "23 h",
		24 * time.Hour:      "1 d",
		29 * 24 * time.Hour: "29 d",
		30 * 24 * time.Hour: "8 Feb",
		90 * 24 * time.Hour: "10 Dec 2025",
	} {
		if got := age(now, now.Add(-d)); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}
