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

// apiFixture is a served TaskService with fakes behind it.
type apiFixture struct {
	conn    *grpc.ClientConn
	store   task.Store
	watcher *fakeWatcher
	limiter *fakeLimiter
	metrics *prometheus.Registry
}

// maxStreams is the limit of streams; a client may have one less.
const maxStreams = 5

// owner makes every call of these tests.
const owner task.Owner = 7

func unlimited(l net.Listener) net.Listener { return l }

func newFixture(t testing.TB) *apiFixture { return newFixtureOver(t, memstore.New()) }

func newFixtureOver(t testing.TB, store task.Store) *apiFixture {
	return newFixtureWith(t, store, func(*apiFixture) *grpcapi.SignIn { return nil })
}

func newFixtureWith(t testing.TB, store task.Store, signIn func(*apiFixture) *grpcapi.SignIn) *apiFixture {
	s := &apiFixture{store: store, watcher: &fakeWatcher{}, limiter: &fakeLimiter{decision: ratelimit.Decision{Allowed: true}}, metrics: prometheus.NewRegistry()}
	tasks := task.NewService(s.store, func() time.Time { return start }, func(context.Context, task.Owner, string) {})
	api := grpcapi.New(grpcapi.Config{
		Tasks: tasks, Owner: func(context.Context) task.Owner { return owner }, Allow: s.limiter.Allow, ClientIP: clientip.Resolver{}.FromGRPC, Watch: s.watcher.Watch,
		AcquireStream: watch.NewStreams(watch.Config{MaxWatchers: maxStreams, MaxPerClient: maxStreams - 1}, s.metrics).Acquire,
		SignIn:        signIn(s),
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
	s.conn, err = grpc.NewClient(server.Addr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.conn.Close() })
	return s
}

// startSeq is the position of the bookmark that begins each watch.
const startSeq = 40

// fakeWatcher yields a bookmark and its announcements, and ends with err, or with its
// context.
type fakeWatcher struct {
	announcements []task.Announcement
	err           error
	watching      task.Owner // of the latest call, and its token
	token         string
}

func (w *fakeWatcher) Watch(ctx context.Context, watching task.Owner, token string) (iter.Seq2[task.Announcement, error], error) {
	w.watching, w.token = watching, token
	return func(yield func(task.Announcement, error) bool) {
		if !yield(task.Announcement{Seq: startSeq}, nil) {
			return
		}
		for _, a := range w.announcements {
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

func (l *fakeLimiter) calls() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.clients)
}

// brokenStore returns an error whose text must not reach a client.
type brokenStore struct{ task.Store }

var errInternal = errors.New("pq: secret table on secret host")

func (brokenStore) Get(context.Context, task.Owner, int64) (task.Task, error) {
	return task.Task{}, errInternal
}
func (brokenStore) List(context.Context, task.Owner, task.Query) ([]task.Task, error) {
	return nil, errInternal
}
func (brokenStore) Count(context.Context, task.Owner) (task.Counts, error) {
	return task.Counts{}, errInternal
}
