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

// openStream opens a stream from an address, and returns a channel with its status.
func (s *apiFixture) openStream(ctx context.Context, remote string, header ...string) <-chan int {
	status := make(chan int, 1)
	go func() {
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/events", http.NoBody)
		r.RemoteAddr = remote
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		s.ServeHTTP(&statusRecorder{ResponseRecorder: httptest.NewRecorder(), status: status}, r)
	}()
	return status
}

// statusRecorder sends the status of a response that does not end.
type statusRecorder struct {
	*httptest.ResponseRecorder
	status chan int
	once   sync.Once
}

func (w *statusRecorder) WriteHeader(status int) {
	w.once.Do(func() { w.status <- status })
	w.ResponseRecorder.WriteHeader(status)
}

func TestStreamsAreLimitedForEachClientAndForTheProcess(t *testing.T) {
	t.Parallel()
	s := newFixture()
	ctx, disconnect := context.WithCancel(t.Context())
	defer disconnect()
	for i := range maxStreams - 1 {
		if got := <-s.openStream(ctx, "192.0.2.1:1000"); got != http.StatusOK {
			t.Fatalf("stream %d: %d", i, got)
		}
	}
	refused := s.requestFrom("192.0.2.1:1001", "GET", "/events")
	p := wantProblem(t, refused, http.StatusTooManyRequests)
	if !strings.Contains(p.Detail, "this client has too many streams open") || refused.Header.Get("Retry-After") == "" {
		t.Errorf("%v: %s", refused.Header, refused.Body)
	}
	// Clients behind a trusted proxy count by their own address.
	if got := <-s.openStream(ctx, "10.0.0.1:1000", "X-Forwarded-For", "192.0.2.1"); got != http.StatusTooManyRequests {
		t.Errorf("the same client behind a proxy: %d", got)
	}
	if got := <-s.openStream(ctx, "10.0.0.1:1000", "X-Forwarded-For", "192.0.2.2"); got != http.StatusOK {
		t.Errorf("another client behind that proxy: %d", got)
	}
	full := s.requestFrom("192.0.2.3:1000", "GET", "/events")
	if p := wantProblem(t, full, http.StatusTooManyRequests); !strings.Contains(p.Detail, "this server has too many streams open") {
		t.Errorf("over the limit of the process: %s", full.Body)
	}
	if got := s.requestFrom("192.0.2.1:1000", "GET", "/tasks").Status; got != http.StatusOK {
		t.Errorf("the list got status %d", got)
	}
	disconnect()
	again, stop := context.WithCancel(t.Context())
	defer stop()
	for range maxStreams - 1 {
		testenv.Eventually(t, "a stream opens again", func() bool { return <-s.openStream(again, "192.0.2.1:1000") == http.StatusOK })
	}
}

// countingStore counts concurrent searches, and keeps them running until proceed is
// closed.
type countingStore struct {
	task.Store
	running, maxRunning atomic.Int64
	proceed             chan struct{}
}

func (s *countingStore) List(ctx context.Context, owner task.Owner, q task.Query) ([]task.Task, error) {
	if q.Contains != "" {
		n := s.running.Add(1)
		defer s.running.Add(-1)
		for seen := s.maxRunning.Load(); n > seen && !s.maxRunning.CompareAndSwap(seen, n); seen = s.maxRunning.Load() {
		}
		select {
		case <-s.proceed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return s.Store.List(ctx, owner, q)
}

func TestAClientRunsOneSearchAtATime(t *testing.T) {
	t.Parallel()
	store := &countingStore{Store: memstore.New(), proceed: make(chan struct{})}
	s := newFixtureOver(store)
	var all sync.WaitGroup
	statuses := make(chan int, 10)
	for range 5 {
		all.Go(func() { statuses <- s.requestFrom("192.0.2.1:1000", "GET", "/tasks?q=learn").Status })
	}
	testenv.Eventually(t, "a search runs", func() bool { return store.running.Load() == 1 })
	if got := s.requestFrom("192.0.2.1:1000", "GET", "/tasks?done=true").Status; got != http.StatusOK {
		t.Errorf("a list without a search: %d", got)
	}
	all.Go(func() { statuses <- s.requestFrom("192.0.2.2:1000", "GET", "/tasks?q=learn").Status })
	testenv.Eventually(t, "another client's search runs beside it", func() bool { return store.running.Load() == 2 })
	close(store.proceed)
	all.Wait()
	close(statuses)
	for status := range statuses {
		if status != http.StatusOK {
			t.Errorf("a search got status %d", status)
		}
	}
	if got := store.maxRunning.Load(); got != 2 {
		t.Errorf("%d searches of two clients ran at once", got)
	}
}

func TestASearchOfAClientThatDisconnectedReleasesItsLock(t *testing.T) {
	t.Parallel()
	store := &countingStore{Store: memstore.New(), proceed: make(chan struct{})}
	s := newFixtureOver(store)
	ctx, disconnect := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/tasks?q=a", http.NoBody)
		s.ServeHTTP(httptest.NewRecorder(), r)
	}()
	testenv.Eventually(t, "it runs", func() bool { return store.running.Load() == 1 })
	disconnect()
	<-ended
	close(store.proceed)
	if got := s.request("GET", "/tasks?q=b", ""); got.Status != http.StatusOK {
		t.Errorf("the next search: %d", got.Status)
	}
}

func TestASearchThatWaitsUntilItsDeadlineIsRateLimited(t *testing.T) {
	t.Parallel()
	store := &countingStore{Store: memstore.New(), proceed: make(chan struct{})}
	s := newFixtureOver(store)
	go s.request("GET", "/tasks?q=a", "")
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

func TestASearchMayHave200CharactersOfAnyLength(t *testing.T) {
	t.Parallel()
	s := newFixture()
	for _, letter := range []string{"a", "%E7%95%8C"} {
		if got := s.request("GET", "/tasks?q="+strings.Repeat(letter, 200), "").Status; got != http.StatusOK {
			t.Errorf("200 of %s: %d", letter, got)
		}
	}
}

// Each route documents its 421.
func TestEveryRouteRefusesAnotherHost(t *testing.T) {
	t.Parallel()
	s := newFixture()
	s.create(t, `{"title":"A"}`)
	before := s.dumpStore(t)
	for _, route := range []string{
		"GET /tasks", "POST /tasks", "GET /tasks/1", "PATCH /tasks/1", "DELETE /tasks/1", "PATCH /tasks/1/done", "GET /tasks/1/events",
		"GET /events", "GET /openapi.yaml", "GET /docs", "GET /docs/start.js", "GET /nothing",
	} {
		method, target, _ := strings.Cut(route, " ")
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second) // an accepted stream would not end
		defer cancel()
		r := httptest.NewRequestWithContext(ctx, method, target, strings.NewReader(`{"title":"x"}`))
		r.Header.Set("Content-Type", "application/json")
		r.Host = "evil.example"
		wantProblem(t, s.serve(r), http.StatusMisdirectedRequest)
	}
	if s.dumpStore(t) != before {
		t.Error("a refused request changed something")
	}
	if counted := len(s.limiter.clients); counted != 1 {
		t.Errorf("%d requests were counted, want the creation alone", counted)
	}
}
