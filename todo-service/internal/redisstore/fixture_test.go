package redisstore_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"example.com/todo/platform/testenv"
	"example.com/todo/todo-service/internal/redisstore"
)

func TestMain(m *testing.M) {
	logging.Disable() // go-redis reports each failed dial, and here many are meant to fail
	testenv.Main(m)
}

var errCut = errors.New("the wire is cut")

// server is a real Redis behind a wire that a test can cut, a prefix of the
// test's own, and what the code under test logged and counted.
type server struct {
	goredis.UniversalClient
	prefix  string
	wire    *wire
	shuttle *redisstore.AutoPipeline
	logged  *logbook
	reg     *prometheus.Registry
}

func openRedis(t *testing.T) *server {
	t.Helper()
	s := open(t, testenv.RequireEnv(t, "TEST_REDIS_ADDR"))
	s.shuttle.ExtendTimeout()
	return s
}

// openAlone is for tests that others on the same Redis would notice.
func openAlone(t *testing.T) *server {
	t.Helper()
	s := open(t, startRedis(t).addr)
	s.shuttle.ExtendTimeout()
	return s
}

// replica returns another process' way to the same Redis.
func (s *server) replica() *redisstore.AutoPipeline {
	shuttle := redisstore.NewAutoPipeline(s)
	shuttle.ExtendTimeout()
	return shuttle
}

func open(t *testing.T, addr string) *server {
	t.Helper()
	prefix := "test-" + rand.Text() + ":"
	s := &server{
		UniversalClient: goredis.NewClient(&goredis.Options{
			Addr:                  addr,
			ClientName:            prefix,
			ContextTimeoutEnabled: true,
			MaxRetries:            -1,
			DialerRetries:         1,
		}),
		prefix: prefix,
		wire:   &wire{},
		logged: &logbook{},
		reg:    prometheus.NewRegistry(),
	}
	s.AddHook(s.wire)
	s.shuttle = redisstore.NewAutoPipeline(s)
	t.Cleanup(func() {
		s.wire.cut.Store(false)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if keys, _ := s.Keys(ctx, s.prefix+"*").Result(); len(keys) > 0 {
			s.Del(ctx, keys...)
		}
		s.Close()
	})
	return s
}

func (s *server) log() *slog.Logger {
	return slog.New(slog.NewTextHandler(s.logged, nil))
}

// count returns the value of a counter.
func (s *server) count(t *testing.T, name string) int {
	t.Helper()
	families, err := s.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == name {
			return int(family.GetMetric()[0].GetCounter().GetValue())
		}
	}
	t.Fatalf("there is no metric %s", name)
	return 0
}

// wire counts the round trips, except for those that begin a connection, and
// once cut lets none through.
type wire struct {
	cut   atomic.Bool
	trips atomic.Int64
	after func() // called, if set, before the answer to a pipeline is handed over
}

func (w *wire) DialHook(next goredis.DialHook) goredis.DialHook { return next }

func (w *wire) ProcessHook(next goredis.ProcessHook) goredis.ProcessHook {
	return func(ctx context.Context, cmd goredis.Cmder) error {
		if counts(cmd) {
			w.trips.Add(1)
		}
		if w.cut.Load() {
			cmd.SetErr(errCut)
			return errCut
		}
		return next(ctx, cmd)
	}
}

func (w *wire) ProcessPipelineHook(next goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []goredis.Cmder) error {
		if counts(cmds[0]) {
			w.trips.Add(1)
		}
		if w.cut.Load() {
			for _, cmd := range cmds {
				cmd.SetErr(errCut)
			}
			return errCut
		}
		err := next(ctx, cmds)
		if w.after != nil {
			w.after()
		}
		return err
	}
}

func counts(cmd goredis.Cmder) bool { return cmd.Name() != "hello" && cmd.Name() != "client" }

type logbook struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logbook) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logbook) lines() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Split(strings.TrimSpace(b.buf.String()), "\n")
}

// frozenServer accepts connections and never says a word.
func frozenServer(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener.Addr().String() // the kernel accepts for it
}

// eventually fails the test unless the condition holds in the end.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	if !wait(holds) {
		t.Fatalf("in 10 s it never was so that %s", what)
	}
}

// wait returns true once the condition holds, and false after 10 s.
func wait(holds func() bool) bool {
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline:
			return false
		case <-tick.C:
		}
	}
	return true
}
