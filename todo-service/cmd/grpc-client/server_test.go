package main

import (
	"context"
	"iter"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace/noop"

	"example.com/todo/platform/apperr"
	"example.com/todo/platform/grpcserver"
	"example.com/todo/platform/session"
	"example.com/todo/todo-service/internal/clientip"
	"example.com/todo/todo-service/internal/grpcapi"
	"example.com/todo/todo-service/internal/memstore"
	"example.com/todo/todo-service/internal/ratelimit"
	"example.com/todo/todo-service/internal/task"
	"example.com/todo/todo-service/internal/watch"
)

var start = time.Date(2026, 1, 15, 10, 0, 0, 0, time.UTC)

// testServer is a todo-service in this process, with a fixed clock.
type testServer struct {
	addr    string
	watcher *fakeWatcher
	limiter *fakeLimiter
	tasks   *task.Service
}

func serve(t *testing.T) *testServer { return serveWith(t, grpcserver.Defaults("127.0.0.1:0"), nil) }

// serveWith serves with sign-in, unless that is nil.
func serveWith(t *testing.T, cfg grpcserver.Config, signIn *grpcapi.SignIn) *testServer {
	t.Helper()
	s := &testServer{watcher: &fakeWatcher{}, limiter: &fakeLimiter{ratelimit.Decision{Allowed: true}}}
	tasks := task.NewService(memstore.New(), func() time.Time { return start }, func(context.Context, task.Owner, string) {})
	s.tasks = tasks
	api := grpcapi.New(grpcapi.Config{
		Tasks: tasks, Owner: func(ctx context.Context) task.Owner { return task.Owner(session.UserFrom(ctx).ID) }, Allow: s.limiter.Allow, ClientIP: clientip.Resolver{}.FromGRPC, Watch: s.watcher.Watch,
		SignIn:        signIn,
		AcquireStream: watch.NewStreams(watch.Config{MaxWatchers: 100, MaxPerClient: 100}, prometheus.NewRegistry()).Acquire,
	})
	listening, err := grpcserver.Listen(cfg, unlimited, grpcserver.Telemetry{
		Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(), Tracer: noop.NewTracerProvider(),
	}, api.Register, api.Interceptors()...)
	if err != nil {
		t.Fatal(err)
	}
	s.addr = listening.Addr()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	stopped := make(chan error, 1)
	go func() { stopped <- listening.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	})
	return s
}

// fakeWatcher yields a bookmark and its announcements after the token, and ends with err,
// or with its context.
type fakeWatcher struct {
	announcements []task.Announcement
	err           error
}

func (w *fakeWatcher) Watch(ctx context.Context, _ task.Owner, token string) (iter.Seq2[task.Announcement, error], error) {
	from, err := strconv.ParseInt(token, 10, 64)
	if err != nil && token != "" || from > int64(len(w.announcements)) {
		return nil, apperr.New(apperr.Gone, "the resume token %q is not in the log", token)
	}
	return func(yield func(task.Announcement, error) bool) {
		if !yield(task.Announcement{Seq: from}, nil) {
			return
		}
		for _, a := range w.announcements[from:] {
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

func unlimited(l net.Listener) net.Listener { return l }

type fakeLimiter struct{ decision ratelimit.Decision }

func (l *fakeLimiter) Allow(context.Context, netip.Addr) ratelimit.Decision { return l.decision }
