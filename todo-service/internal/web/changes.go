package web

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"example.com/todo/platform/apperr"
	"example.com/todo/todo-service/internal/task"
)

// keyField is the name of the idempotency key in errors.
const keyField = "Idempotency-Key"

func (p *page) addTask(s *submission) error {
	priority, err := s.readPriority()
	if err != nil {
		return err
	}
	var keys []string
	if key := s.PostForm.Get("key"); key != "" {
		keys = []string{key}
	}
	key, err := task.ParseIdempotencyKey(keys)
	if err != nil {
		return err
	}
	_, err = p.Tasks.Create(s.Context(), p.Owner(s.Context()), task.Draft{Title: s.PostForm.Get("title"), Priority: priority, Key: key})
	s.keyUsed = fieldProblem(err, keyField) != ""
	return err
}

// editTask changes the title and the priority.
func (p *page) editTask(s *submission) error {
	priority, err := s.readPriority()
	if err != nil {
		return err
	}
	title := s.PostForm.Get("title")
	s.wanted = "title “" + title + "”, priority " + priorityName(priority)
	s.change = task.Change{Title: &title, Priority: &priority}
	return p.applyChange(s)
}

func (p *page) completeTask(s *submission) error {
	s.wanted, s.change = "mark it as done", task.Change{Done: new(true)}
	return p.applyChange(s)
}

func (p *page) reopenTask(s *submission) error {
	s.wanted, s.change = "mark it as open", task.Change{Done: new(false)}
	return p.applyChange(s)
}

func (p *page) applyChange(s *submission) error {
	_, err := p.Tasks.Change(s.Context(), p.Owner(s.Context()), s.id, s.change, s.expected)
	return err
}

func (p *page) deleteTask(s *submission) error {
	s.wanted = "delete it"
	return p.Tasks.Delete(s.Context(), p.Owner(s.Context()), s.id, s.expected)
}

func (s *submission) readPriority() (int, error) {
	priority, err := strconv.Atoi(s.PostForm.Get("priority"))
	if err != nil {
		return 0, apperr.InvalidFields(apperr.Field{Name: "priority", Problem: "must be a whole number"})
	}
	return priority, nil
}

// writeFailure writes the list with the error, and with what was typed. A change that
// another request made meanwhile is no error.
func (p *page) writeFailure(ctx context.Context, w http.ResponseWriter, s *submission, err error) {
	if p.lacksUser(ctx) {
		p.refuseWithoutUser(w, s.Request, err, s.PostForm.Get("title"))
		return
	}
	d := document{Selected: s.selected}
	var found *conflict
	if apperr.Of(err).Kind == apperr.PreconditionFailed {
		found, err = p.findConflict(ctx, s, err)
		if err == nil {
			s.redirectToList(w)
			return
		}
	}
	status, f := p.describeChangeFailure(s.Request, err)
	f.Conflict = found
	switch {
	case s.PathValue("id") == "":
		d.Draft = s.draft(err)
		if fieldProblem(err, keyField) != "" {
			d.Draft.Key = "" // the document gets a new one
		}
		if s.keyUsed {
			f.Message, f.Hint = "This form has already added another task.", "Send it once more to add this one too."
		}
	case s.PostForm.Has("title") && status == http.StatusNotFound:
		d.Draft = s.draft(nil)
		f.Hint += " What you typed is in the form for a new task."
	case s.PostForm.Has("title") && s.id > 0:
		d.Selected.Shown = s.PathValue("id")
		d.Details = s.details(err, found)
	case s.id > 0 && status != http.StatusNotFound && status != http.StatusUnprocessableEntity:
		f.Repeat = s.repetition(found)
	}
	d.Failure = &f
	p.writeDocument(w, s.Request, status, d)
}

// details returns what was typed into the form for one task. It is for the version that
// the form or the conflict shows, so that no change is undone that the user has not seen.
func (s *submission) details(err error, found *conflict) *details {
	return &details{
		ID: s.id, List: s.selected.WithoutTask(), Editable: true, Typed: true, Version: s.shownVersion(found),
		Title: s.PostForm.Get("title"), Priority: s.typedPriority(), Problem: fieldProblem(err, "title"),
	}
}

// draft returns what was typed into the form for adding. The key stays: the form may be
// sent again after an error that leaves open whether the task was stored.
func (s *submission) draft(err error) draft {
	return draft{Key: s.PostForm.Get("key"), Title: s.PostForm.Get("title"), Priority: s.typedPriority(), Problem: fieldProblem(err, "title")}
}

// typedPriority returns the chosen priority, or the default one.
func (s *submission) typedPriority() int {
	priority, err := s.readPriority()
	if err != nil || priority < 0 || priority > task.MaxPriority {
		return defaultPriority
	}
	return priority
}

// repetition returns the form that sends the change again, for the version that found
// shows.
func (s *submission) repetition(found *conflict) *repetition {
	again := &repetition{Action: s.URL.Path, Version: s.shownVersion(found), List: s.selected.String(), Label: "Try again"}
	if found != nil {
		again.Label = strings.ToUpper(s.wanted[:1]) + s.wanted[1:] + " anyway"
	}
	return again
}

// shownVersion returns the version of the task that found shows, or else the form; 0 for
// any.
func (s *submission) shownVersion(found *conflict) int64 {
	switch {
	case found != nil:
		return found.Now.Version
	case s.expected != nil:
		return s.expected[0]
	}
	return 0
}

// findConflict returns both states after a version mismatch. The error is nil if the task
// already is as the form wants it, perhaps because the form was sent twice.
func (p *page) findConflict(ctx context.Context, s *submission, mismatch error) (*conflict, error) {
	now, err := p.Tasks.Get(ctx, p.Owner(ctx), s.id)
	if err != nil {
		return nil, err
	}
	if s.change != (task.Change{}) {
		changed := now
		if kind, err := changed.Apply(s.change, p.Now()); err == nil && kind == "" {
			return nil, nil
		}
	}
	return &conflict{Now: now, Wanted: s.wanted, Keep: s.selected.WithoutTask().Address()}, mismatch
}
