package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"example.com/todo/platform/apperr"
	"example.com/todo/platform/logging"
	"example.com/todo/todo-service/internal/task"
)

// failure is what the page says about a request that failed.
type failure struct {
	Heading    string
	Message    string // what happened, and why
	Hint       string // what to try
	Reload     string // address to try again, or ""
	Conflict   *conflict
	Repeat     *repetition
	RetryAfter int // seconds, 0 for none
}

// conflict has both states of a task that changed after the form was written.
type conflict struct {
	Now    task.Task
	Wanted string // the change that was not made, as "mark it as done"
	Keep   string // address of the list, without that change
}

// repetition is a form that sends a change again.
type repetition struct {
	Action  string
	Version int64
	List    string // the selection
	Label   string
}

// failureKinds has the status for each kind of error, and what to try after a change and
// after a query that failed.
var failureKinds = map[apperr.Kind]struct {
	status                        int
	heading, changeHint, loadHint string
}{
	apperr.Internal: {
		http.StatusInternalServerError, "Something went wrong",
		"Try again. If it happens again, the log of the server says why, at the request %s.",
		"Try again. If it happens again, the log of the server says why, at the request %s.",
	},
	apperr.Invalid:            {http.StatusUnprocessableEntity, "Not saved", "Correct it and send it again.", "Use the links and the search of this page."},
	apperr.Unauthenticated:    {http.StatusUnauthorized, "Not saved: you are signed out", "Sign in and make the change again.", ""},
	apperr.PermissionDenied:   {http.StatusForbidden, "Not saved: not allowed", "", ""},
	apperr.NotFound:           {http.StatusNotFound, "Not saved", "It may have been deleted meanwhile.", "It may have been deleted."},
	apperr.PreconditionFailed: {http.StatusPreconditionFailed, "Not saved: changed meanwhile", "Compare both states and choose.", ""},
	apperr.AlreadyExists:      {http.StatusConflict, "Not saved", "Choose another one.", ""},
	apperr.Gone:               {http.StatusGone, "Not saved", "Load the page again.", "Load the page again."},
	apperr.RateLimited:        {http.StatusTooManyRequests, "Not saved: too many requests", "Wait %s, then send it again.", "Wait %s, then try again."},
	apperr.Unavailable: {
		http.StatusServiceUnavailable, "Not confirmed",
		"Send it again in %s: the change is made once, even if it is sent twice.", "Try again in %s.",
	},
}

// describeChangeFailure returns status and words of an error of a change.
func (p *page) describeChangeFailure(r *http.Request, err error) (status int, f failure) {
	kind := failureKinds[apperr.Of(err).Kind]
	return kind.status, p.describeFailure(r, err, kind.status, kind.heading, kind.changeHint)
}

// describeLoadFailure returns status and words of an error of a query.
func (p *page) describeLoadFailure(r *http.Request, err error, heading string) (status int, f failure) {
	kind := failureKinds[apperr.Of(err).Kind]
	f = p.describeFailure(r, err, kind.status, heading, kind.loadHint)
	if kind.status != http.StatusUnprocessableEntity && kind.status != http.StatusNotFound {
		f.Reload = r.URL.RequestURI()
	}
	return kind.status, f
}

// describeFailure returns the words of an error. It logs the cause of one that neither the
// request nor its end explains.
func (p *page) describeFailure(r *http.Request, err error, status int, heading, hint string) failure {
	e := apperr.Of(err)
	message := strings.TrimSuffix(strings.TrimSuffix(e.Message, "; try again"), "; read it again") // the hint says what to try
	f := failure{Heading: heading, Message: sentence(message), Hint: hint}
	switch e.Kind {
	case apperr.Internal:
		f.Hint = fmt.Sprintf(hint, logging.RequestID(r.Context()))
	case apperr.RateLimited, apperr.Unavailable:
		f.RetryAfter = max(1, int((e.RetryAfter+time.Second-1)/time.Second))
		f.Hint = fmt.Sprintf(hint, seconds(f.RetryAfter))
	}
	if status >= http.StatusInternalServerError && !errors.Is(r.Context().Err(), context.Canceled) {
		p.Log.WarnContext(r.Context(), "the page answers with an error", "status", status, "error", err)
	}
	return f
}

// seconds returns a number of seconds in words, from two minutes on in whole minutes, rounded
// up. The limits of sign-in and sign-up may ask for an hour.
func seconds(n int) string {
	switch {
	case n == 1:
		return "1 second"
	case n < 120:
		return fmt.Sprintf("%d seconds", n)
	}
	return fmt.Sprintf("%d minutes", (n+59)/60)
}

// sentence returns a message of an application error as a sentence.
func sentence(message string) string {
	first, size := utf8.DecodeRuneInString(message)
	return string(unicode.ToUpper(first)) + message[size:] + "."
}

// fieldProblem returns the problem that err has with a field, or "".
func fieldProblem(err error, name string) string {
	var e *apperr.Error
	if errors.As(err, &e) {
		for _, field := range e.Fields {
			if field.Name == name {
				return field.Problem
			}
		}
	}
	return ""
}

// notice is the data of the template notice.html, a document without tasks.
type notice struct {
	Assets  string
	Heading string
	Message string
	Hint    string
	Typed   string // what a form had that was not saved, or ""
}

// refuse writes a document about a request that is not a form of this page.
func (p *page) refuse(w http.ResponseWriter, r *http.Request, status int, message, hint string) {
	p.writeNotice(w, r, status, notice{Heading: "Not saved", Message: message, Hint: hint})
}

func (p *page) writeNotice(w http.ResponseWriter, r *http.Request, status int, n notice) {
	n.Assets = p.assets.root
	p.write(w, r, status, p.render("notice.html", n), true)
}

// writeErrorNotice writes a document about an error that leaves open whose tasks to show.
func (p *page) writeErrorNotice(w http.ResponseWriter, r *http.Request, err error, n notice) {
	status, f := p.describeLoadFailure(r, err, n.Heading)
	setRetryAfter(w.Header(), &f)
	n.Message, n.Hint = f.Message, f.Hint
	p.writeNotice(w, r, status, n)
}

func setRetryAfter(header http.Header, f *failure) {
	if f != nil && f.RetryAfter > 0 {
		header.Set("Retry-After", strconv.Itoa(f.RetryAfter))
	}
}
