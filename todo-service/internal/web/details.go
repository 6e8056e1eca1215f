package web

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"example.com/todo/platform/apperr"
	"example.com/todo/todo-service/internal/task"
)

// details are the form for one task, and its history.
type details struct {
	ID       int64
	Editable bool  // false for a deleted task
	Version  int64 // that the form changes; 0 for any
	Title    string
	Priority int
	Problem  string    // of the title, or ""
	Typed    bool      // title and priority are what was typed for that version, not what is stored
	List     selection // without the details
	History  []historyLine
	More     bool // the history goes on
}

// Options returns the options of the field for the priority.
func (d details) Options() []option { return priorityOptions(d.Priority) }

// historyLine is one change in words.
type historyLine struct {
	At    time.Time
	Words string
	Title string // that the words end with, or ""
}

// loadDetails loads the task d.Selected.Shown, unless d has details that were typed.
func (p *page) loadDetails(ctx context.Context, d *document) error {
	id, err := parseID("task", d.Selected.Shown)
	if err != nil {
		return err
	}
	events, more, err := p.Tasks.History(ctx, p.Owner(ctx), id, 0, 0)
	if err != nil {
		return err
	}
	if d.Details == nil {
		d.Details = &details{}
	}
	d.Details.ID, d.Details.List = id, d.Selected.WithoutTask()
	d.Details.More, d.Details.History = more, describeHistory(events)
	t, err := p.Tasks.Get(ctx, p.Owner(ctx), id)
	if err != nil && apperr.Of(err).Kind == apperr.NotFound {
		return nil
	}
	if err != nil {
		return err
	}
	d.Details.Editable = true
	if !d.Details.Typed {
		d.Details.Version, d.Details.Title, d.Details.Priority = t.Version, t.Title, t.Priority
	}
	return nil
}

// describeHistory returns the events in words, each by its difference from the one before.
func describeHistory(events []task.Event) []historyLine {
	var lines []historyLine
	var before *task.Task // nil for the first event, before which there is nothing, or what was purged
	for _, e := range events {
		add := func(title, format string, args ...any) {
			lines = append(lines, historyLine{At: e.At, Words: fmt.Sprintf(format, args...), Title: title})
		}
		switch e.Type {
		case task.Created:
			add(e.Task.Title, "Created with priority %s:", describePriority(e.Task.Priority))
		case task.Updated:
			if before == nil {
				add(e.Task.Title, "Changed to priority %s:", describePriority(e.Task.Priority))
			}
		case task.Completed:
			add("", "Completed")
		case task.Reopened:
			add("", "Reopened")
		case task.Deleted:
			add("", "Deleted")
		}
		if before != nil && e.Task.Title != before.Title {
			add(e.Task.Title, "Renamed to")
		}
		if before != nil && e.Task.Priority != before.Priority {
			add("", "Priority changed from %s to %s", describePriority(before.Priority), describePriority(e.Task.Priority))
		}
		before = &e.Task
	}
	return lines
}

// describePriority returns the level of a priority with its value.
func describePriority(priority int) string {
	return priorityName(priority) + " (" + strconv.Itoa(priority) + ")"
}
