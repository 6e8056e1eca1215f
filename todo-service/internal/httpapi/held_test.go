package httpapi_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.com/todo/platform/testenv"
	"example.com/todo/todo-service/internal/memstore"
	"example.com/todo/todo-service/internal/task"
)

// open opens a stream from an address, and returns its status once it has one.
func (s *service) open(ctx context.Context, remote string, header ...string) <-chan int {
	begun := make(chan int, 1)
	go func() {
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/events", http.NoBody)
		r.RemoteAddr = remote
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		s.ServeHTTP(&firstStatus{ResponseRecorder: httptest.NewRecorder(), status: begun}, r)
	}()
	return begun
}

// firstStatus tells the status of an answer that does not end.
type firstStatus struct {
	*httptest.ResponseRecorder
	status chan int
	once   sync.Once
}

func (w *firstStatus) WriteHeader(status int) {
	w.once.Do(func() { w.status <- status })
	w.ResponseRecorder.WriteHeader(status)
}

func TestAClientHoldsSoManyStreamsAndTheProcessSoMany(t *testing.T) {
	t.Parallel()
	s := newService()
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	for i := range maxStreams - 1 {
		if got := <-s.open(ctx, "192.0.2.1:1000"); got != http.StatusOK {
			t.Fatalf("stream %d: %d", i, got)
		}
	}
	refused := s.doFrom("192.0.2.1:1001", "GET", "/events")
	p := wantProblem(t, refused, http.StatusTooManyRequests)
	if !strings.Contains(p.Detail, "this client has as many streams open") || refused.Header.Get("Retry-After") == "" {
		t.Errorf("%v: %s", refused.Header, refused.Body)
	}
	// A proxy is no client, and those behind it are not one.
	if got := <-s.open(ctx, "10.0.0.1:1000", "X-Forwarded-For", "192.0.2.1"); got != http.StatusTooManyRequests {
		t.Errorf("the same client behind a proxy: %d", got)
	}
	if got := <-s.open(ctx, "10.0.0.1:1000", "X-Forwarded-For", "192.0.2.2"); got != http.StatusOK {
		t.Errorf("another client behind that proxy: %d", got)
	}
	full := s.doFrom("192.0.2.3:1000", "GET", "/events")
	if p := wantProblem(t, full, http.StatusTooManyRequests); !strings.Contains(p.Detail, "this server has as many streams open") {
		t.Errorf("beyond the streams of the process: %s", full.Body)
	}
	if got := s.doFrom("192.0.2.1:1000", "GET", "/tasks").Status; got != http.StatusOK {
		t.Errorf("the list is answered %d", got)
	}
	leave()
	again, stop := context.WithCancel(t.Context())
	defer stop()
	for range maxStreams - 1 {
		testenv.Eventually(t, "a stream opens again", func() bool { return <-s.open(again, "192.0.2.1:1000") == http.StatusOK })
	}
}

// countingStore counts the searches that run at once, and lets none of them end
// before the test says so.
type countingStore struct {
	task.Store
	running, most atomic.Int64
	proceed       chan struct{}
}

func (s *countingStore) List(ctx context.Context, q task.Query) ([]task.Task, error) {
	if q.Contains != "" {
		n := s.running.Add(1)
		defer s.running.Add(-1)
		for seen := s.most.Load(); n > seen && !s.most.CompareAndSwap(seen, n); seen = s.most.Load() {
		}
		select {
		case <-s.proceed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return s.Store.List(ctx, q)
}

func TestAClientSearchesOnceAtATime(t *testing.T) {
	t.Parallel()
	store := &countingStore{Store: memstore.New(), proceed: make(chan struct{})}
	s := newServiceOver(store)
	var all sync.WaitGroup
	statuses := make(chan int, 10)
	for range 5 {
		all.Go(func() { statuses <- s.doFrom("192.0.2.1:1000", "GET", "/tasks?q=learn").Status })
	}
	testenv.Eventually(t, "a search runs", func() bool { return store.running.Load() == 1 })
	if got := s.doFrom("192.0.2.1:1000", "GET", "/tasks?done=true").Status; got != http.StatusOK {
		t.Errorf("a list that is no search: %d", got)
	}
	all.Go(func() { statuses <- s.doFrom("192.0.2.2:1000", "GET", "/tasks?q=learn").Status })
	testenv.Eventually(t, "another client's search runs beside it", func() bool { return store.running.Load() == 2 })
	close(store.proceed)
	all.Wait()
	close(statuses)
	for status := range statuses {
		if status != http.StatusOK {
			t.Errorf("a search was answered %d", status)
		}
	}
	if got := store.most.Load(); got != 2 {
		t.Errorf("%d searches of two clients ran at once", got)
	}
}

func TestASearchWhoseClientLeftGivesWay(t *testing.T) {
	t.Parallel()
	store := &countingStore{Store: memstore.New(), proceed: make(chan struct{})}
	s := newServiceOver(store)
	ctx, leave := context.WithCancel(t.Context())
	over := make(chan struct{})
	go func() {
		defer close(over)
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/tasks?q=a", http.NoBody)
		s.ServeHTTP(httptest.NewRecorder(), r)
	}()
	testenv.Eventually(t, "it runs", func() bool { return store.running.Load() == 1 })
	leave()
	<-over
	close(store.proceed)
	if got := s.do("GET", "/tasks?q=b", ""); got.Status != http.StatusOK {
		t.Errorf("the next search: %d", got.Status)
	}
}

func TestASearchThatWaitsTooLongIsToldWhy(t *testing.T) {
	t.Parallel()
	store := &countingStore{Store: memstore.New(), proceed: make(chan struct{})}
	s := newServiceOver(store)
	go s.do("GET", "/tasks?q=a", "")
	testenv.Eventually(t, "it runs", func() bool { return store.running.Load() == 1 })
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/tasks?q=b", http.NoBody)
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), "another search") {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	close(store.proceed)
}

func TestASearchHas200CharactersOfAnyKind(t *testing.T) {
	t.Parallel()
	s := newService()
	for _, letter := range []string{"a", "%E7%95%8C"} {
		if got := s.do("GET", "/tasks?q="+strings.Repeat(letter, 200), "").Status; got != http.StatusOK {
			t.Errorf("200 of %s: %d", letter, got)
		}
	}
}

// Each route's 421 is in the document, and so are the answers that CORS adds to.
func TestOtherHostsAreRefusedOnEveryRoute(t *testing.T) {
	t.Parallel()
	s := newService()
	s.create(t, `{"title":"A"}`)
	state := s.state(t)
	for _, route := range []string{
		"GET /tasks", "POST /tasks", "GET /tasks/1", "PATCH /tasks/1", "DELETE /tasks/1", "PATCH /tasks/1/done", "GET /tasks/1/events",
		"GET /events", "GET /openapi.yaml", "GET /docs", "GET /docs/start.js", "GET /nothing",
	} {
		method, target, _ := strings.Cut(route, " ")
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second) // a stream that is let in would not end
		defer cancel()
		r := httptest.NewRequestWithContext(ctx, method, target, strings.NewReader(`{"title":"x"}`))
		r.Header.Set("Content-Type", "application/json")
		r.Host = "evil.example"
		wantProblem(t, s.send(r), http.StatusMisdirectedRequest)
	}
	if s.state(t) != state {
		t.Error("a refused request changed something")
	}
	if asked := len(s.limiter.clients); asked != 1 {
		t.Errorf("%d requests were counted, want that of the creation", asked)
	}
}
