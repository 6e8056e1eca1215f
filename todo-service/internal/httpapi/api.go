// Package httpapi serves tasks over HTTP. Its handlers read the request, call
// the application and write the answer; the rules are the application's, and
// the translation of refusals into problem documents is platform/httpserver's.
package httpapi

import (
	"context"
	"net/http"
	"net/netip"
	"path"
	"strings"

	"example.com/todo/platform/apperr"
	"example.com/todo/platform/httpserver"
	"example.com/todo/todo-service/internal/eventcodec"
	"example.com/todo/todo-service/internal/httpapi/docs"
	"example.com/todo/todo-service/internal/listcache"
	"example.com/todo/todo-service/internal/ratelimit"
	"example.com/todo/todo-service/internal/task"
)

// ListCache keeps the answer to the unfiltered list. Load returns it, from the
// cache or else from query; it fails only as query fails. A Load with the context
// that Begin returned finds the cache already asked.
type ListCache interface {
	Prefetch(ctx context.Context) context.Context
	Load(ctx context.Context, query func(context.Context) (listcache.Entry, error)) (listcache.Entry, error)
}

// Limiter counts a request of a client and says whether it may pass. It always
// answers: when it cannot count it lets the request pass.
type Limiter interface {
	Allow(ctx context.Context, client netip.Addr) ratelimit.Decision
}

// ClientIPs tells which client a request came from.
type ClientIPs interface {
	FromHTTP(r *http.Request) netip.Addr
}

// Streams limits how many streams there are, and how many of them one client has.
// Acquire counts one until release is called, or refuses it (fault.Exhausted).
type Streams interface {
	Acquire(client netip.Addr) (release func(), err error)
}

// SearchLocks lets each client search once at a time. Acquire waits until its other
// search has called release, or refuses when ctx ends before.
type SearchLocks interface {
	Acquire(ctx context.Context, client netip.Addr) (release func(), err error)
}

// Config holds what the API is made of.
type Config struct {
	Tasks       *task.Service
	Lists       ListCache
	Limiter     Limiter
	ClientIPs   ClientIPs
	Watcher     Watcher
	Streams     Streams
	SearchLocks SearchLocks
}

type api struct {
	Config
	events *eventcodec.EncodeCache[[]byte] // as server-sent events
}

// New returns the task API. Every request to it, a route or not, is counted by
// the limiter. Telemetry and recovery belong around it (httpserver.Instrument).
func New(cfg Config) http.Handler {
	a := &api{Config: cfg, events: eventcodec.NewEncodeCache(encodeEvent)}
	mux := http.NewServeMux()
	mux.Handle("GET /tasks", handler(a.listTasks))
	mux.Handle("POST /tasks", handler(a.createTask))
	mux.Handle("GET /tasks/{id}", handler(a.getTask))
	mux.Handle("PATCH /tasks/{id}", handler(a.changeTask))
	mux.Handle("DELETE /tasks/{id}", handler(a.deleteTask))
	mux.Handle("PATCH /tasks/{id}/done", handler(a.completeTask))
	mux.Handle("GET /tasks/{id}/events", handler(a.listTaskEvents))
	mux.Handle("GET /events", handler(a.watchEvents))
	docs.Register(mux)
	return a.prefetchList(limitRate(rejectUncleanPaths(httpserver.Routes(mux)), cfg.Limiter, cfg.ClientIPs))
}

// prefetchList lets the question for the cached list travel with the limiter's.
func (a *api) prefetchList(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/tasks" && r.URL.RawQuery == "" && r.Method == http.MethodGet {
			r = r.WithContext(a.Lists.Prefetch(r.Context()))
		}
		next.ServeHTTP(w, r)
	})
}

// rejectUncleanPaths knows nothing under a path that is not in its clean form, where
// http.ServeMux would redirect to the form it takes for meant.
func rejectUncleanPaths(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != path.Clean(r.URL.Path) || !strings.HasPrefix(r.URL.Path, "/") {
			httpserver.WriteProblem(w, r, httpserver.StatusError(http.StatusNotFound, "there is nothing at this address"))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// handler answers a request, or returns the refusal to be answered with.
type handler func(w http.ResponseWriter, r *http.Request) error

func (h handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := h(w, r); err != nil {
		httpserver.WriteProblem(w, r, err)
	}
}

// parsePathID reads the task id of the path. What is a number but no id is left to
// the application.
func parsePathID(r *http.Request) (int64, error) {
	id, err := parseNumber(r.PathValue("id"))
	if err != nil {
		return 0, apperr.InvalidFields(apperr.Field{Name: "id", Problem: "must be a whole number from 1 to 9223372036854775807"})
	}
	return id, nil
}
