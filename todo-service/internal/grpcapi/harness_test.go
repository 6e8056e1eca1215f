package grpcapi_test

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace/noop"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"example.com/todo/platform/grpcserver"
	"example.com/todo/todo-service/internal/clientip"
	"example.com/todo/todo-service/internal/grpcapi"
	"example.com/todo/todo-service/internal/memstore"
	"example.com/todo/todo-service/internal/ratelimit"
	"example.com/todo/todo-service/internal/task"
	"example.com/todo/todo-service/internal/watch"
)

var start = time.Date(2026, 1, 15, 10, 0, 0, 0, time.UTC)

// service is TaskService as it is served, and the fakes behind it.
type service struct {
	conn    *grpc.ClientConn
	store   task.Store
	watcher *watcher
	limiter *limiter
	metrics *prometheus.Registry
}

// maxStreams is how many streams there may be; one client may have one less.
const maxStreams = 5

func unlimited(l net.Listener) net.Listener { return l }

func newService(t testing.TB) *service { return newServiceOver(t, memstore.New()) }

func newServiceOver(t testing.TB, store task.Store) *service {
	s := &service{store: store, watcher: &watcher{}, limiter: &limiter{budget: ratelimit.Decision{Allowed: true}}, metrics: prometheus.NewRegistry()}
	tasks := task.NewService(s.store, func() time.Time { return start }, func(context.Context, string) {})
	limit := grpcapi.NewRateLimit(s.limiter, clientip.Resolver{}, watch.NewStreams(watch.Config{MaxWatchers: maxStreams, MaxPerClient: maxStreams - 1}, s.metrics))
	server, err := grpcserver.Listen(grpcserver.Defaults("127.0.0.1:0"), unlimited, grpcserver.Telemetry{
		Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(), Tracer: noop.NewTracerProvider(),
	}, grpcapi.New(tasks, s.watcher).Register, grpcserver.Interceptors{Unary: []grpc.UnaryServerInterceptor{limit.Unary}, Stream: []grpc.StreamServerInterceptor{limit.Stream}})
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
	s.conn, err = grpc.NewClient(server.Addr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.conn.Close() })
	return s
}

// place is where every watch begins.
const place = 40

// watcher delivers what it holds behind a bookmark, then ends with err, or with its context.
type watcher struct {
	log   []task.Announcement
	err   error
	token string // it was last asked for
}

func (w *watcher) Watch(ctx context.Context, token string) (iter.Seq2[task.Announcement, error], error) {
	w.token = token
	return func(yield func(task.Announcement, error) bool) {
		if !yield(task.Announcement{Seq: place}, nil) {
			return
		}
		for _, a := range w.log {
			if !yield(a, nil) {
				return
			}
		}
		if w.err != nil {
			yield(task.Announcement{}, w.err)
			return
		}
		<-ctx.Done()
		yield(task.Announcement{}, ctx.Err())
	}, nil
}

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

func (l *limiter) asked() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.clients)
}

// brokenStore fails in a way that no client should learn of.
type brokenStore struct{ task.Store }

var errInternal = errors.New("pq: secret table on secret host")

func (brokenStore) Get(context.Context, int64) (task.Task, error)         { return task.Task{}, errInternal }
func (brokenStore) List(context.Context, task.Query) ([]task.Task, error) { return nil, errInternal }
