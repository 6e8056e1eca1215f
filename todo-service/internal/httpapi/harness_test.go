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

// documented is what every answer is held against.
var documented = func() *openapitest.Document {
	document, err := openapitest.Parse(openapi.Todo)
	if err != nil {
		panic(err)
	}
	return document
}()

// service is the API as it is served: telemetry, limiter, routes, rules and a
// store, at a time that stands still. It panics after an answer that is not as
// documented.
type service struct {
	http.Handler
	store   *memstore.Store
	lists   *listCache
	limiter *limiter
	watcher *watcher
}

func newService() *service {
	store := memstore.New()
	s := newServiceOver(store)
	s.store = store
	return s
}

func newServiceOver(store task.Store) *service {
	s := &service{lists: &listCache{}, limiter: &limiter{budget: plenty}, watcher: &watcher{}}
	tasks := task.NewService(store, func() time.Time { return start }, s.lists.invalidate)
	telemetry := httpserver.Telemetry{
		Log:      slog.New(slog.DiscardHandler),
		Registry: prometheus.NewRegistry(),
		Tracer:   noop.NewTracerProvider(),
	}
	api := httpapi.New(httpapi.Config{
		Tasks: tasks, Lists: s.lists, Limiter: s.limiter, Watcher: s.watcher, SearchLocks: admission.NewSearchLocks(),
		ClientIPs: clientip.New([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}),
		Streams:   watch.NewStreams(watch.Config{MaxWatchers: maxStreams, MaxPerClient: maxStreams - 1}, telemetry.Registry),
	})
	cfg := httpserver.Defaults(":0")
	cfg.AllowedHosts = []string{"example.com"} // httptest's
	s.Handler = documented.Handler(httpserver.Instrument(api, cfg, telemetry))
	return s
}

// maxStreams is how many streams there may be; one client may have one less.
const maxStreams = 5

type answer struct {
	Status int
	Header http.Header
	Body   string
}

// do sends a request; header is a list of names and values, and "" takes the
// field away. A body without a Content-Type among them is sent as JSON.
func (s *service) do(method, target, body string, header ...string) answer {
	request := httptest.NewRequest(method, target, strings.NewReader(body))
	if body == "" {
		request.Body = http.NoBody
	} else {
		request.Header.Set("Content-Type", "application/json")
	}
	return s.send(request, header...)
}

// doFrom sends a request from an address, "ip:port".
func (s *service) doFrom(remote, method, target string, header ...string) answer {
	request := httptest.NewRequest(method, target, http.NoBody)
	request.RemoteAddr = remote
	return s.send(request, header...)
}

// doURL sends a request to a URL that may not be a valid request line.
func (s *service) doURL(method string, target *url.URL) answer {
	request := httptest.NewRequest(method, "/", http.NoBody)
	request.URL = target
	return s.send(request)
}

func (s *service) send(request *http.Request, header ...string) answer {
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
	return answer{recorder.Code, recorder.Header(), recorder.Body.String()}
}

// createTask makes a task over HTTP.
func (s *service) create(t testing.TB, body string) {
	t.Helper()
	if response := s.do("POST", "/tasks", body); response.Status != http.StatusCreated {
		t.Fatalf("POST %s: %d", body, response.Status)
	}
}

// state is everything the service has stored about the first tasks.
func (s *service) state(t testing.TB) string {
	t.Helper()
	tasks, err := s.store.List(t.Context(), task.Query{Limit: task.MaxLimit})
	if err != nil {
		t.Fatal(err)
	}
	var events []task.Event
	for id := range int64(3) {
		history, err := s.store.History(t.Context(), id+1, 0, task.MaxLimit)
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
func wantHeader(t testing.TB, response answer, want map[string]string) {
	t.Helper()
	for name, value := range want {
		if got := response.Header.Get(name); got != value {
			t.Errorf("%s: %q, want %q", name, cmp.Or(got, "(none)"), cmp.Or(value, "(none)"))
		}
	}
}

// listCache keeps the list in memory, until a change.
type listCache struct {
	mu     sync.Mutex
	kept   *listcache.Entry
	misses int
}

func (c *listCache) Prefetch(ctx context.Context) context.Context { return ctx }

func (c *listCache) Load(ctx context.Context, query func(context.Context) (listcache.Entry, error)) (listcache.Entry, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kept != nil {
		hit := *c.kept
		hit.Hit = true
		return hit, nil
	}
	c.misses++
	list, err := query(ctx)
	if err == nil {
		c.kept = &list
	}
	return list, err
}

func (c *listCache) invalidate(context.Context, string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kept = nil
}

var plenty = ratelimit.Decision{Allowed: true, Limit: 60, Window: time.Minute, Remaining: 59, Reset: 11500 * time.Millisecond}

// limiter answers with one budget and remembers who asked.
type limiter struct {
	budget  ratelimit.Decision
	mu      sync.Mutex
	clients []string
}

func (l *limiter) Allow(_ context.Context, client netip.Addr) ratelimit.Decision {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clients = append(l.clients, client.String())
	return l.budget
}
