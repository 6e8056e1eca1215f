package httpapi_test

import (
	"bufio"
	"context"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/todo/platform/apperr"
	"example.com/todo/todo-service/internal/task"
)

// watcher refuses, or delivers what it holds and ends with end, or with its context.
type watcher struct {
	refusal error
	log     []task.Announcement
	end     error
	ended   chan struct{}

	mu    sync.Mutex
	token string // it was last asked for
}

func (w *watcher) Watch(ctx context.Context, token string) (iter.Seq2[task.Announcement, error], error) {
	w.mu.Lock()
	w.token = token
	w.mu.Unlock()
	if w.ended != nil {
		context.AfterFunc(ctx, func() { close(w.ended) })
	}
	return func(yield func(task.Announcement, error) bool) {
		for _, a := range w.log {
			if !yield(a, nil) {
				return
			}
		}
		end := w.end
		if end == nil {
			<-ctx.Done()
			end = ctx.Err()
		}
		yield(task.Announcement{}, end)
	}, w.refusal
}

func stopping() error { return apperr.New(apperr.Unavailable, "the server is stopping; resume") }

var retryLine = regexp.MustCompile(`retry: [12]\d\d\d\n`)

func TestEventsAreServedAsTheyHappen(t *testing.T) {
	t.Parallel()
	s := newService()
	created := task.Task{ID: 7, Title: "<A>", Priority: 5, CreatedAt: start, Version: 1}
	completed := created
	later := start.Add(time.Second)
	completed.Done, completed.Version, completed.CompletedAt = true, 2, &later
	s.watcher.log = []task.Announcement{
		{Seq: 40},
		{Seq: 41, Event: task.Event{ID: "a", Type: task.Created, Task: created, At: start}},
		{Seq: 42, Event: task.Event{ID: "b", Type: task.Completed, Task: completed, At: later}},
		{Seq: 42},
	}
	s.watcher.end = stopping()
	response := s.do("GET", "/events", "", "Last-Event-ID", "40", "Accept", "text/event-stream")
	want := `:
id: 40

id: 41
event: task.created
data: {"id":"a","type":"task.created","task_id":7,"task_title":"<A>","timestamp":"2026-01-15T10:00:00Z","task":{"id":7,"title":"<A>","priority":5,"done":false,"created_at":"2026-01-15T10:00:00Z","version":1}}

id: 42
event: task.completed
data: {"id":"b","type":"task.completed","task_id":7,"task_title":"<A>","timestamp":"2026-01-15T10:00:01Z","task":{"id":7,"title":"<A>","priority":5,"done":true,"created_at":"2026-01-15T10:00:00Z","completed_at":"2026-01-15T10:00:01Z","version":2}}

:
id: 42

: the server is stopping; resume
retry: N
id: 42

`
	if diff := cmp.Diff(want, retryLine.ReplaceAllString(response.Body, "retry: N\n")); diff != "" {
		t.Errorf("stream (-want +got):\n%s", diff)
	}
	if response.Status != http.StatusOK || s.watcher.token != "40" {
		t.Errorf("status %d, watched from %q", response.Status, s.watcher.token)
	}
	wantHeader(t, response, map[string]string{
		"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no",
		"RateLimit": `"default";r=59;t=12`, "Content-Length": "",
	})
	if len(s.limiter.clients) != 1 {
		t.Errorf("counted %d times", len(s.limiter.clients))
	}
}

func TestAnEventIsSentAtOnceAndTheStreamLasts(t *testing.T) {
	t.Parallel()
	s := newService()
	s.watcher.log = []task.Announcement{{Seq: 1}}
	s.watcher.ended = make(chan struct{})
	server := httptest.NewServer(s)
	defer server.Close()
	ctx, leave := context.WithCancel(t.Context())
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/events", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := server.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	lines := bufio.NewReader(response.Body)
	for _, want := range []string{":\n", "id: 1\n", "\n"} { // blocks for ever when it is not flushed
		if got, err := lines.ReadString('\n'); got != want || err != nil {
			t.Errorf("got %q, error %v, want %q", got, err, want)
		}
	}
	leave()
	<-s.watcher.ended
}

func TestAWatchThatCannotBeginIsRefused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		target  string
		header  []string
		refusal error
		status  int
		mention string
	}{
		"no token":          {"/events", []string{"Last-Event-ID", "x"}, apperr.InvalidFields(apperr.Field{Name: "resume_token", Problem: "must be one"}), 400, "Last-Event-ID must be"},
		"two tokens":        {"/events", []string{"Last-Event-ID", "1", "Last-Event-ID", "1"}, nil, 400, "Last-Event-ID must be given once"},
		"gone":              {"/events", []string{"Last-Event-ID", "1"}, apperr.New(apperr.Gone, "the events after 1 are gone"), 410, "after 1"},
		"a parameter":       {"/events?task_id=1", nil, nil, 422, "task_id is not a parameter"},
		"an unread query":   {"/events?%zz", nil, nil, 400, "query string"},
		"what went wrong":   {"/events", nil, errInternal, 500, "went wrong"},
		"something below":   {"/events/1", nil, nil, 404, "nothing"},
		"a trailing slash":  {"/events/", nil, nil, 404, "nothing"},
		"a doubled slash":   {"//events", nil, nil, 404, "nothing"},
		"in capital letter": {"/Events", nil, nil, 404, "nothing"},
	} {
		s := newService()
		s.watcher.refusal = test.refusal
		s.watcher.end = stopping()
		response := s.do("GET", test.target, "", test.header...)
		p := wantProblem(t, response, test.status)
		if !strings.Contains(p.Detail, test.mention) || strings.Contains(response.Body, "secret") {
			t.Errorf("%s: %s", name, response.Body)
		}
		if retry := response.Header.Get("Retry-After"); (retry != "") != (test.status == 503) {
			t.Errorf("%s: Retry-After %q", name, retry)
		}
	}
}

func TestAWatchThatFailsShowsNothingInternal(t *testing.T) {
	t.Parallel()
	s := newService()
	s.watcher.log, s.watcher.end = []task.Announcement{{Seq: 3}}, errInternal
	response := s.do("GET", "/events", "")
	if strings.Contains(response.Body, "secret") || !strings.Contains(response.Body, "id: 3\n\n") {
		t.Errorf("got %q", response.Body)
	}
}

// Its place may since be another event's: a client that comes back by itself is not to
// be let in there.
func TestAWatchOfWhatIsGoneNamesNoPlaceToComeBackTo(t *testing.T) {
	t.Parallel()
	s := newService()
	s.watcher.log, s.watcher.end = []task.Announcement{{Seq: 3}}, apperr.New(apperr.Gone, "gone")
	response := s.do("GET", "/events", "")
	if !strings.HasSuffix(response.Body, "\nid: 9223372036854775807\n\n") {
		t.Errorf("got %q", response.Body)
	}
}

func TestTheStreamsHeaderCanBeAskedFor(t *testing.T) {
	t.Parallel()
	s := newService()
	s.watcher.ended = make(chan struct{})
	response := s.do("HEAD", "/events", "")
	if response.Status != http.StatusOK || response.Body != "" {
		t.Errorf("%d %q", response.Status, response.Body)
	}
	wantHeader(t, response, map[string]string{"Content-Type": "text/event-stream"})
	<-s.watcher.ended // it counts no longer
	s.watcher.ended = nil
	s.watcher.refusal = apperr.New(apperr.Gone, "gone")
	if got := s.do("HEAD", "/events", "", "Last-Event-ID", "1").Status; got != http.StatusGone {
		t.Errorf("from a place that is gone: %d", got)
	}
}

func FuzzLastEventID(f *testing.F) {
	for _, token := range []string{"", "1", "-1", "9223372036854775808", "é", "\x00", "1\n2", strings.Repeat("9", 1000)} {
		f.Add(token)
	}
	f.Fuzz(func(t *testing.T, token string) {
		s := newService()
		s.watcher.refusal = apperr.InvalidFields(apperr.Field{Name: "resume_token", Problem: "must be one"})
		response := s.do("GET", "/events", "", "Last-Event-ID", token)
		wantAnswer(t, response)
		if s.watcher.token != token {
			t.Errorf("%q was read as %q", token, s.watcher.token)
		}
	})
}

// The stream of a real connection ends with a farewell, not in the middle.
func TestAStreamThatTheServerEndsIsWhole(t *testing.T) {
	t.Parallel()
	s := newService()
	s.watcher.log, s.watcher.end = []task.Announcement{{Seq: 3}}, stopping()
	server := httptest.NewServer(s)
	defer server.Close()
	response, err := server.Client().Get(server.URL + "/events")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || !strings.HasSuffix(string(body), "id: 3\n\n") {
		t.Errorf("got %q, error %v", body, err)
	}
}
