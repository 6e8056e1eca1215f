// Package transporttest is the conformance test of the transports: it runs one table of
// cases through HTTP and gRPC, and wants the same outcome for the client, the same task in
// the store, and the same events.
package transporttest

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace/noop"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	pb "example.com/todo/contracts/gen/task"
	"example.com/todo/contracts/openapi"
	"example.com/todo/platform/grpcserver"
	"example.com/todo/platform/httpserver"
	"example.com/todo/platform/openapitest"
	"example.com/todo/todo-service/internal/admission"
	"example.com/todo/todo-service/internal/clientip"
	"example.com/todo/todo-service/internal/grpcapi"
	"example.com/todo/todo-service/internal/httpapi"
	"example.com/todo/todo-service/internal/listcache"
	"example.com/todo/todo-service/internal/ratelimit"
	"example.com/todo/todo-service/internal/task"
	"example.com/todo/todo-service/internal/watch"
)

// transport is a client of one transport.
type transport interface {
	create(ctx context.Context, title string, priority int, keys ...string) outcome
	get(ctx context.Context, id int64) outcome
	list(ctx context.Context, onlyDone bool, sort string, limit int) outcome
	count(ctx context.Context) outcome
	change(ctx context.Context, id int64, c task.Change, expected *int64) outcome
	complete(ctx context.Context, id int64, expected *int64) outcome
	remove(ctx context.Context, id int64, expected *int64) outcome
	history(ctx context.Context, id, after int64, limit int) outcome
}

// outcome is the content of a response, without the form of its transport.
type outcome struct {
	Refusal string   // the kind of the error; "" for a success
	Fields  []string // invalid ones that the error names
	Tasks   []task.Task
	Counts  task.Counts
	Events  []task.Event // without their ids
	Next    int64        // after of the next page; 0 for the last page
}

// The kinds of errors that both transports have.
const (
	invalid            = "invalid"
	notFound           = "not found"
	preconditionFailed = "precondition failed"
	rateLimited        = "rate limited"
	unexpected         = "unexpected: %v"
)

var start = time.Date(2026, 1, 15, 10, 0, 0, 123_000_000, time.UTC)

// timeOfReading returns the time of the n-th reading of the clock, from 1. Each attempt of
// a creation or change reads the clock once.
func timeOfReading(n int) time.Time { return start.Add(time.Duration(n) * time.Minute) }

func newApplication(store task.Store) *task.Service {
	readings := 0
	return task.NewService(store, func() time.Time { readings++; return timeOfReading(readings) }, func(context.Context, task.Owner, string) {})
}

// transports start a server for requests of one owner, and return a client of it.
var transports = map[string]func(*testing.T, *task.Service, task.Owner, *sharedLimiter) transport{
	"HTTP": serveHTTP,
	"gRPC": serveGRPC,
}

func serveHTTP(t *testing.T, tasks *task.Service, owner task.Owner, limiter *sharedLimiter) transport {
	handler := httpapi.New(httpapi.Config{
		Tasks: tasks, Owner: always(owner), Lists: noCache{}, Allow: limiter.Allow, ClientIP: clientip.Resolver{}.FromHTTP, AcquireSearch: admission.NewSearchLocks().Acquire,
	})
	server := httptest.NewServer(httpserver.Instrument(handler, httpserver.Defaults(":0"), httpserver.Telemetry{
		Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(), Tracer: noop.NewTracerProvider(),
	}))
	t.Cleanup(server.Close)
	document, err := openapitest.Parse(openapi.Todo)
	if err != nil {
		t.Fatal(err)
	}
	client := server.Client()
	client.Transport = document.Transport(client.Transport)
	return httpClient{server.URL, client}
}

func always(owner task.Owner) func(context.Context) task.Owner {
	return func(context.Context) task.Owner { return owner }
}

func unlimited(l net.Listener) net.Listener { return l }

func serveGRPC(t *testing.T, tasks *task.Service, owner task.Owner, limiter *sharedLimiter) transport {
	api := grpcapi.New(grpcapi.Config{
		Tasks: tasks, Owner: always(owner), Allow: limiter.Allow, ClientIP: clientip.Resolver{}.FromGRPC,
		AcquireStream: watch.NewStreams(watch.Config{MaxWatchers: 10, MaxPerClient: 10}, prometheus.NewRegistry()).Acquire,
	})
	server, err := grpcserver.Listen(grpcserver.Defaults("127.0.0.1:0"), unlimited, grpcserver.Telemetry{
		Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(), Tracer: noop.NewTracerProvider(),
	}, api.Register, api.Interceptors()...)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	stopped := make(chan error, 1)
	go func() { stopped <- server.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	})
	conn, err := grpc.NewClient(server.Addr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return grpcClient{pb.NewTaskServiceClient(conn)}
}

type noCache struct{}

func (noCache) Prefetch(ctx context.Context, _ task.Owner) context.Context { return ctx }

func (noCache) Load(ctx context.Context, _ task.Owner, query func(context.Context) (listcache.Entry, error)) (listcache.Entry, error) {
	return query(ctx)
}

// sharedLimiter is a limiter that allows a number of requests of all clients together.
type sharedLimiter struct{ remaining int }

func (b *sharedLimiter) Allow(context.Context, netip.Addr) ratelimit.Decision {
	b.remaining--
	return ratelimit.Decision{Allowed: b.remaining >= 0, Limit: 60, Window: time.Minute, RetryAfter: time.Second}
}

func refusal(kind string, fields ...string) outcome { return outcome{Refusal: kind, Fields: fields} }

func wantTasks(all ...task.Task) outcome { return outcome{Tasks: all} }

func wantEvents(next int64, all ...task.Event) outcome { return outcome{Events: all, Next: next} }

func unexpectedOutcome(what any) outcome { return outcome{Refusal: fmt.Sprintf(unexpected, what)} }
