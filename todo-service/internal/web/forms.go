package web

import (
	"errors"
	"mime"
	"net/http"

	"example.com/todo/todo-service/internal/task"
)

const (
	formType = "application/x-www-form-urlencoded"
	maxForm  = 64 << 10 // bytes; a title of 500 characters takes 6 kB at most
)

// submission is a form that was sent.
type submission struct {
	*http.Request
	id       int64   // of the task; 0 for a new one
	expected []int64 // the version of the task that the form shows; nil for any
	selected selection
	wanted   string // the change in words
	change   task.Change
	keyUsed  bool // the idempotency key has added another task
}

// changeTasks returns the handler of a form. apply makes the change.
func changeTasks(apply func(*page, *submission) error) handler {
	return func(p *page, w http.ResponseWriter, r *http.Request) {
		if !p.readForm(w, r) {
			return
		}
		admitted, err := p.admit(w, r)
		s := &submission{Request: admitted, selected: parseSelection(r.PostForm.Get("list"))}
		invalid := s.readTarget()
		if err == nil {
			err = invalid
		}
		if err == nil {
			err = apply(p, s)
		}
		if err != nil {
			p.writeFailure(admitted.Context(), w, s, err)
			return
		}
		s.redirectToList(w)
	}
}

// redirectToList leads back to the list, with the selection that was on.
func (s *submission) redirectToList(w http.ResponseWriter) {
	http.Redirect(w, s.Request, s.selected.WithoutTask().Address(), http.StatusSeeOther)
}

// readForm parses the form, or writes the response to a request that is none.
func (p *page) readForm(w http.ResponseWriter, r *http.Request) bool {
	const useForms = "Use the forms of the list."
	if p.SignIn != nil {
		w.Header().Set("Cache-Control", "private, no-cache")
		w.Header().Add("Vary", "Authorization, Cookie")
	}
	if err := p.guard.Check(r); err != nil {
		p.refuse(w, r, http.StatusForbidden, "The request came from a page of another site, so nothing was changed.", "To make the change, use the forms of the list.")
		return false
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != formType {
		p.refuse(w, r, http.StatusUnsupportedMediaType, "The request is not a form: its Content-Type must be "+formType+".", useForms)
		return false
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	err := r.ParseForm()
	switch {
	case errors.As(err, new(*http.MaxBytesError)):
		p.refuse(w, r, http.StatusRequestEntityTooLarge, "The form is larger than 64 KiB.", "Shorten the text: a title has at most 500 characters.")
	case r.Context().Err() != nil:
		// Every later step would fail with 503, although the client caused it.
		p.refuse(w, r, http.StatusBadRequest, "The form came so slowly that no time was left for it, so nothing was changed.", "Send it again.")
	case err != nil:
		p.refuse(w, r, http.StatusBadRequest, "The form cannot be decoded.", useForms)
	default:
		return true
	}
	return false
}

// readTarget reads the task that the form changes, if it changes one.
func (s *submission) readTarget() (err error) {
	text := s.PathValue("id")
	if text == "" {
		return nil
	}
	if s.id, err = parseID("id", text); err != nil {
		return err
	}
	if text := s.PostForm.Get("version"); text != "" {
		version, err := parseID("version", text)
		if err != nil {
			return err
		}
		s.expected = []int64{version}
	}
	return nil
}
