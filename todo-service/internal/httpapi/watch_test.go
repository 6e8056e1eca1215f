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

// fakeWatcher returns err, or yields its announcements and ends with endWith; without
// endWith it ends with its context.
type fakeWatcher struct {
	err           error
	announcements []task.Announcement
	endWith       error
	ended         chan struct{}

	mu    sync.Mutex
	token string // of the latest call
}

func (w *fakeWatcher) Watch(ctx context.Context, _ task.Owner, token string) (iter.Seq2[task.Announcement, error], error) {
	w.mu.Lock()
	w.token = token
	w.mu.Unlock()
	if w.ended != nil {
		context.AfterFunc(ctx, func() { close(w.ended) })
	}
	return func(yield func(task.Announcement, error) bool) {
		for _, a := range w.announcements {
			if !yield(a, nil) {
				return
			}
		}
		end := w.endWith
		if end == nil {
			<-ctx.Done()
			end = ctx.Err()
		}
		yield(task.Announcement{}, end)
	}, w.err
}

func errStopping() error { return apperr.New(apperr.Unavailable, "the server is stopping; resume") }

var retryLine = regexp.MustCompile(`retry: [12]\d\d\d\n`)

func TestWatchWritesServerSentEvents(t *testing.T) {
	t.Parallel()
	s := newFixture()
	created := task.Task{ID: 7, Title: "<A>", Priority: 5, CreatedAt: start, Version: 1}
	completed := created
	later := start.Add(time.Second)
	completed.Done, completed.Version, completed.CompletedAt = true, 2, &later
	s.watcher.announcements = []task.Announcement{
		{Seq: 40},
		{Seq: 41, Event: task.Event{ID: "a", Type: task.Created, Task: created, At: start}},
		{Seq: 42, Event: task.Event{ID: "b", Type: task.Completed, Task: completed, At: later}},
		{Seq: 42},
	}
	s.watcher.endWith = errStopping()
	response := s.request("GET", "/events", "", "Last-Event-ID", "40", "Accept", "text/event-stream")
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

func TestWatchFlushesEachEventAndLastsUntilTheClientDisconnects(t *testing.T) {
	t.Parallel()
	s := newFixture()
	s.watcher.announcements = []task.Announcement{{Seq: 1}}
	s.watcher.ended = make(chan struct{})
	server := httptest.NewServer(s)
	defer server.Close()
	ctx, disconnect := context.WithCancel(t.Context())
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
	for _, want := range []string{":\n", "id: 1\n", "\n"} { // blocks for ever without a flush
		if got, err := lines.ReadString('\n'); got != want || err != nil {
			t.Errorf("got %q, error %v, want %q", got, err, want)
		}
	}
	disconnect()
	<-s.watcher.ended
}

func TestWatchRefusesInvalidRequests(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		target  string
		header  []string
		refusal error
		status  int
		mention string
	}{
		"malformed token":   {"/events", []string{"Last-Event-ID", "x"}, apperr.InvalidFields(apperr.Field{Name: "resume_token", Problem: "must be one"}), 400, "Last-Event-ID must be"},
		"two tokens":        {"/events", []string{"Last-Event-ID", "1", "Last-Event-ID", "1"}, nil, 400, "Last-Event-ID must be given once"},
		"gone":              {"/events", []string{"Last-Event-ID", "1"}, apperr.New(apperr.Gone, "the events after 1 are gone"), 410, "after 1"},
		"a parameter":       {"/events?task_id=1", nil, nil, 422, "task_id is not a parameter"},
		"an unread query":   {"/events?%zz", nil, nil, 400, "query string"},
		"an internal error": {"/events", nil, errInternal, 500, "went wrong"},
		"a path below":      {"/events/1", nil, nil, 404, "nothing"},
		"a trailing slash":  {"/events/", nil, nil, 404, "nothing"},
		"a doubled slash":   {"//events", nil, nil, 404, "nothing"},
		"a capital letter":  {"/Events", nil, nil, 404, "nothing"},
	} {
		s := newFixture()
		s.watcher.err = test.refusal
		s.watcher.endWith = errStopping()
		response := s.request("GET", test.target, "", test.header...)
		p := wantProblem(t, response, test.status)
		if !strings.Contains(p.Detail, test.mention) || strings.Contains(response.Body, "secret") {
			t.Errorf("%s: %s", name, response.Body)
		}
		if retry := response.Header.Get("Retry-After"); (retry != "") != (test.status == 503) {
			t.Errorf("%s: Retry-After %q", name, retry)
		}
	}
}

func TestWatchHidesInternalErrorsInTheStream(t *testing.T) {
	t.Parallel()
	s := newFixture()
	s.watcher.announcements, s.watcher.endWith = []task.Announcement{{Seq: 3}}, errInternal
	response := s.request("GET", "/events", "")
	if strings.Contains(response.Body, "secret") || !strings.Contains(response.Body, "id: 3\n\n") {
		t.Errorf("got %q", response.Body)
	}
}

// The position may belong to another event by now, so a client that reconnects must not
// resume there.
func TestWatchEndsWithAnInvalidPositionWhenTheLogIsGone(t *testing.T) {
	t.Parallel()
	s := newFixture()
	s.watcher.announcements, s.watcher.endWith = []task.Announcement{{Seq: 3}}, apperr.New(apperr.Gone, "gone")
	response := s.request("GET", "/events", "")
	if !strings.HasSuffix(response.Body, "\nid: 9223372036854775807\n\n") {
		t.Errorf("got %q", response.Body)
	}
}

func TestWatchRespondsToHeadWithTheHeaderAlone(t *testing.T) {
	t.Parallel()
	s := newFixture()
	s.watcher.ended = make(chan struct{})
	response := s.request("HEAD", "/events", "")
	if response.Status != http.StatusOK || response.Body != "" {
		t.Errorf("%d %q", response.Status, response.Body)
	}
	wantHeader(t, response, map[string]string{"Content-Type": "text/event-stream"})
	<-s.watcher.ended // its stream is released
	s.watcher.ended = nil
	s.watcher.err = apperr.New(apperr.Gone, "gone")
	if got := s.request("HEAD", "/events", "", "Last-Event-ID", "1").Status; got != http.StatusGone {
		t.Errorf("from a position that is gone: %d", got)
	}
}

func FuzzLastEventID(f *testing.F) {
	for _, token := range []string{"", "1", "-1", "9223372036854775808", "é", "\x00", "1\n2", strings.Repeat("9", 1000)} {
		f.Add(token)
	}
	f.Fuzz(func(t *testing.T, token string) {
		s := newFixture()
		s.watcher.err = apperr.InvalidFields(apperr.Field{Name: "resume_token", Problem: "must be one"})
		response := s.request("GET", "/events", "", "Last-Event-ID", token)
		wantClientStatus(t, response)
		if s.watcher.token != token {
			t.Errorf("%q was passed on as %q", token, s.watcher.token)
		}
	})
}

// Over a real connection the body must end properly, not with a cut connection.
func TestWatchEndsItsBodyProperlyWhenTheServerStops(t *testing.T) {
	t.Parallel()
	s := newFixture()
	s.watcher.announcements, s.watcher.endWith = []task.Announcement{{Seq: 3}}, errStopping()
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
