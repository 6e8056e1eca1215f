// Package httpapi implements the HTTP handlers of the task API. A handler decodes the
// request, calls task.Service, and encodes the response. The rules are in package task;
// platform/httpserver turns errors into problem documents.
package httpapi

import (
	"context"
	"iter"
	"net/http"
	"net/netip"
	"path"
	"strings"

	"example.com/todo/platform/apperr"
	"example.com/todo/platform/httpserver"
	"example.com/todo/platform/session"
	"example.com/todo/todo-service/internal/eventcodec"
	"example.com/todo/todo-service/internal/httpapi/docs"
	"example.com/todo/todo-service/internal/listcache"
	"example.com/todo/todo-service/internal/ratelimit"
	"example.com/todo/todo-service/internal/task"
)

// ListCache caches the response to an owner's unfiltered list (cache-aside). Load returns
// it from the cache or from query; its only error is query's. Prefetch starts the lookup,
// and returns a context with which Load takes its result.
type ListCache interface {
	Prefetch(ctx context.Context, owner task.Owner) context.Context
	Load(ctx context.Context, owner task.Owner, query func(context.Context) (listcache.Entry, error)) (listcache.Entry, error)
}

// Config holds the dependencies of the API.
type Config struct {
	Tasks *task.Service
	// Owner returns the owner of the tasks that a request with this context reads and writes.
	Owner func(ctx context.Context) task.Owner
	Lists ListCache
	// Allow counts a request of a client and decides whether it may pass. It fails open: a
	// request that it cannot count passes.
	Allow func(ctx context.Context, client netip.Addr) ratelimit.Decision
	// ClientIP resolves the IP address of a request's client.
	ClientIP func(r *http.Request) netip.Addr
	// Watch follows the event log; watch.Hub documents the contract.
	Watch func(ctx context.Context, owner task.Owner, token string) (iter.Seq2[task.Announcement, error], error)
	// AcquireStream counts a stream until release is called; at a limit, in total or of the
	// client, the error is apperr.RateLimited.
	AcquireStream func(client ratelimit.Client) (release func(), err error)
	// AcquireSearch waits until the client's other search calls release; if ctx ends first,
	// it returns an error.
	AcquireSearch func(ctx context.Context, client ratelimit.Client) (release func(), err error)
	// SignIn is nil where there is no sign-in.
	SignIn *SignIn
}

type api struct {
	Config
	events *eventcodec.EncodeCache[[]byte] // as server-sent events
}

// New returns the task API. The limiter counts every request, also one without a route.
// The caller adds telemetry and recovery with httpserver.Instrument.
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
	routes := rejectUncleanPaths(a.routeCounts(httpserver.Routes(mux)))
	if a.SignIn != nil {
		a.registerSignIn(mux)
		return a.authenticate(routes)
	}
	return a.prefetchList(a.limitRate(routes))
}

// routeCounts routes /tasks/counts, and passes every other path to next.
func (a *api) routeCounts(next http.Handler) http.Handler {
	// In the mux of the other routes, PATCH and DELETE would match /tasks/{id}.
	mux := http.NewServeMux()
	mux.Handle("GET /tasks/counts", handler(a.countTasks))
	counts := httpserver.Routes(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/tasks/counts" {
			counts.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// prefetchList starts the lookup of the cached list before the limiter is called, so that
// both commands share one round trip to Redis.
func (a *api) prefetchList(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if readsCachedList(r) {
			r = r.WithContext(a.Lists.Prefetch(r.Context(), a.Owner(r.Context())))
		}
		next.ServeHTTP(w, r)
	})
}

// readsCachedList reports whether the request reads the unfiltered list.
func readsCachedList(r *http.Request) bool {
	return r.URL.Path == "/tasks" && r.URL.RawQuery == "" && r.Method == http.MethodGet
}

// client returns what the limits of a request's client count.
func (a *api) client(r *http.Request) ratelimit.Client {
	return ratelimit.NewClient(session.UserFrom(r.Context()).ID, a.ClientIP(r))
}

// rejectUncleanPaths responds 404 to a path that is not in clean form. http.ServeMux would
// redirect it to the clean path.
func rejectUncleanPaths(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != path.Clean(r.URL.Path) || !strings.HasPrefix(r.URL.Path, "/") {
			httpserver.WriteProblem(w, r, httpserver.StatusError(http.StatusNotFound, "there is nothing at this address"))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// handler writes a response, or returns the error that becomes a problem document.
type handler func(w http.ResponseWriter, r *http.Request) error

func (h handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := h(w, r); err != nil {
		httpserver.WriteProblem(w, r, err)
	}
}

// parsePathID parses the task id in the path. The application checks its range.
func parsePathID(r *http.Request) (int64, error) {
	id, err := parseNumber(r.PathValue("id"))
	if err != nil {
		return 0, apperr.InvalidFields(apperr.Field{Name: "id", Problem: "must be a whole number from 1 to 9223372036854775807"})
	}
	return id, nil
}
