package httpapi_test

import (
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace/noop"

	"example.com/todo/contracts/openapi"
	"example.com/todo/platform/httpserver"
	"example.com/todo/platform/openapitest"
	"example.com/todo/todo-service/internal/admission"
	"example.com/todo/todo-service/internal/clientip"
	"example.com/todo/todo-service/internal/httpapi"
	"example.com/todo/todo-service/internal/listcache"
	"example.com/todo/todo-service/internal/memstore"
	"example.com/todo/todo-service/internal/ratelimit"
	"example.com/todo/todo-service/internal/task"
	"example.com/todo/todo-service/internal/watch"
)

var start = time.Date(2026, 1, 15, 10, 0, 0, 0, time.UTC)

// documentedAPI checks every response against the OpenAPI document.
var documentedAPI = func() *openapitest.Document {
	document, err := openapitest.Parse(openapi.Todo)
	if err != nil {
		panic(err)
	}
	return document
}()

// apiFixture is the whole API with fakes and a fixed clock. It panics after a response that
// does not match the OpenAPI document.
type apiFixture struct {
	http.Handler
	store   *memstore.Store
	lists   *fakeListCache
	limiter *fakeLimiter
	watcher *fakeWatcher
}

func newFixture() *apiFixture {
	store := memstore.New()
	s := newFixtureOver(store)
	s.store = store
	return s
}

func newFixtureOver(store task.Store) *apiFixture {
	return newFixtureWith(store, func(*apiFixture) *httpapi.SignIn { return nil })
}

func newFixtureWith(store task.Store, signIn func(*apiFixture) *httpapi.SignIn) *apiFixture {
	s := &apiFixture{lists: &fakeListCache{}, limiter: &fakeLimiter{decision: allowed}, watcher: &fakeWatcher{}}
	tasks := task.NewService(store, func() time.Time { return start }, s.lists.invalidate)
	telemetry := httpserver.Telemetry{
		Log:      slog.New(slog.DiscardHandler),
		Registry: prometheus.NewRegistry(),
		Tracer:   noop.NewTracerProvider(),
	}
	api := httpapi.New(httpapi.Config{
		Tasks: tasks, Owner: func(context.Context) task.Owner { return task.NoOwner }, Lists: s.lists, Allow: s.limiter.Allow, Watch: s.watcher.Watch, AcquireSearch: admission.NewSearchLocks().Acquire,
		ClientIP:      clientip.New([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}).FromHTTP,
		AcquireStream: watch.NewStreams(watch.Config{MaxWatchers: maxStreams, MaxPerClient: maxStreams - 1}, telemetry.Registry).Acquire,
		SignIn:        signIn(s),
	})
	cfg := httpserver.Defaults(":0")
	cfg.AllowedHosts = []string{"example.com"} // httptest's
	s.Handler = documentedAPI.Handler(httpserver.Instrument(api, cfg, telemetry))
	return s
}

// maxStreams is the limit of streams; a client may have one less.
const maxStreams = 5

type httpResponse struct {
	Status int
	Header http.Header
	Body   string
}

// request sends a request. header is a list of names and values; the value "" deletes the
// header. The Content-Type of a body is JSON unless header sets it.
func (s *apiFixture) request(method, target, body string, header ...string) httpResponse {
	request := httptest.NewRequest(method, target, strings.NewReader(body))
	if body == "" {
		request.Body = http.NoBody
	} else {
		request.Header.Set("Content-Type", "application/json")
	}
	return s.serve(request, header...)
}

// requestFrom sends a request from an address, "ip:port".
func (s *apiFixture) requestFrom(remote, method, target string, header ...string) httpResponse {
	request := httptest.NewRequest(method, target, http.NoBody)
	request.RemoteAddr = remote
	return s.serve(request, header...)
}

// requestURL sends a request to a URL that need not be a valid request line.
func (s *apiFixture) requestURL(method string, target *url.URL) httpResponse {
	request := httptest.NewRequest(method, "/", http.NoBody)
	request.URL = target
	return s.serve(request)
}

func (s *apiFixture) serve(request *http.Request, header ...string) httpResponse {
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Content-Type" || header[i+1] == "" {
			request.Header.Del(header[i])
		}
		if header[i+1] != "" {
			request.Header.Add(header[i], header[i+1])
		}
	}
	recorder := httptest.NewRecorder()
	s.ServeHTTP(recorder, request)
	return httpResponse{recorder.Code, recorder.Header(), recorder.Body.String()}
}

// create creates a task over HTTP.
func (s *apiFixture) create(t testing.TB, body string) {
	t.Helper()
	if response := s.request("POST", "/tasks", body); response.Status != http.StatusCreated {
		t.Fatalf("POST %s: %d", body, response.Status)
	}
}

// dumpStore returns everything that is stored about the first three tasks.
func (s *apiFixture) dumpStore(t testing.TB) string {
	t.Helper()
	tasks, err := s.store.List(t.Context(), task.NoOwner, task.Query{Limit: task.MaxLimit})
	if err != nil {
		t.Fatal(err)
	}
	var events []task.Event
	for id := range int64(3) {
		history, err := s.store.History(t.Context(), task.NoOwner, id+1, 0, task.MaxLimit)
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, history...)
	}
	state, err := json.Marshal(map[string]any{"tasks": tasks, "events": events})
	if err != nil {
		t.Fatal(err)
	}
	return string(state)
}

// wantHeader compares header fields; "" means absent.
func wantHeader(t testing.TB, response httpResponse, want map[string]string) {
	t.Helper()
	for name, value := range want {
		if got := response.Header.Get(name); got != value {
			t.Errorf("%s: %q, want %q", name, cmp.Or(got, "(none)"), cmp.Or(value, "(none)"))
		}
	}
}

// fakeListCache is a list cache in memory.
type fakeListCache struct {
	mu     sync.Mutex
	entry  *listcache.Entry
	misses int
}

func (c *fakeListCache) Prefetch(ctx context.Context, _ task.Owner) context.Context { return ctx }

func (c *fakeListCache) Load(ctx context.Context, _ task.Owner, query func(context.Context) (listcache.Entry, error)) (listcache.Entry, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.entry != nil {
		hit := *c.entry
		hit.Hit = true
		return hit, nil
	}
	c.misses++
	list, err := query(ctx)
	if err == nil {
		c.entry = &list
	}
	return list, err
}

func (c *fakeListCache) invalidate(context.Context, task.Owner, string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.entry = nil
}

var allowed = ratelimit.Decision{Allowed: true, Limit: 60, Window: time.Minute, Remaining: 59, Reset: 11500 * time.Millisecond}

// fakeLimiter returns one decision and records the clients.
type fakeLimiter struct {
	decision ratelimit.Decision
	mu       sync.Mutex
	clients  []string
}

func (l *fakeLimiter) Allow(_ context.Context, client netip.Addr) ratelimit.Decision {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clients = append(l.clients, client.String())
	return l.decision
}
