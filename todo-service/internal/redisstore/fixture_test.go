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

var errNetworkDown = errors.New("the network is down")

// testRedis is a real Redis behind a network that a test can take down. It has a key
// prefix of the test's own, and the logs and metrics of the code under test.
type testRedis struct {
	goredis.UniversalClient
	prefix   string
	network  *networkHook
	pipeline *redisstore.AutoPipeline
	logged   *logBuffer
	reg      *prometheus.Registry
}

func openRedis(t *testing.T) *testRedis {
	t.Helper()
	s := open(t, testenv.RequireEnv(t, "TEST_REDIS_ADDR"))
	s.pipeline.ExtendTimeout()
	return s
}

// openOwnRedis starts a Redis for a test that would disturb others on a shared one.
func openOwnRedis(t *testing.T) *testRedis {
	t.Helper()
	s := open(t, startRedis(t).addr)
	s.pipeline.ExtendTimeout()
	return s
}

// replica returns the AutoPipeline of another process to the same Redis.
func (s *testRedis) replica() *redisstore.AutoPipeline {
	pipeline := redisstore.NewAutoPipeline(s)
	pipeline.ExtendTimeout()
	return pipeline
}

func open(t testing.TB, addr string) *testRedis {
	t.Helper()
	prefix := "test-" + rand.Text() + ":"
	s := &testRedis{
		UniversalClient: goredis.NewClient(&goredis.Options{
			Addr:                  addr,
			ClientName:            prefix,
			ContextTimeoutEnabled: true,
			MaxRetries:            -1,
			DialerRetries:         1,
		}),
		prefix:  prefix,
		network: &networkHook{},
		logged:  &logBuffer{},
		reg:     prometheus.NewRegistry(),
	}
	s.AddHook(s.network)
	s.pipeline = redisstore.NewAutoPipeline(s)
	t.Cleanup(func() {
		s.network.down.Store(false)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if keys, _ := s.Keys(ctx, s.prefix+"*").Result(); len(keys) > 0 {
			s.Del(ctx, keys...)
		}
		s.Close()
	})
	return s
}

func (s *testRedis) log() *slog.Logger {
	return slog.New(slog.NewTextHandler(s.logged, nil))
}

// count returns the value of a counter.
func (s *testRedis) count(t *testing.T, name string) int {
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

func (s *testRedis) expectCount(t *testing.T, name string, want int) {
	t.Helper()
	if got := s.count(t, name); got != want {
		t.Errorf("%s is %d, want %d", name, got, want)
	}
}

// networkHook counts the round trips, except for those that begin a connection, and
// fails them while down.
type networkHook struct {
	down        atomic.Bool
	roundTrips  atomic.Int64
	beforeReply func() // called, if set, before the reply to a pipeline is returned
}

func (w *networkHook) DialHook(next goredis.DialHook) goredis.DialHook { return next }

func (w *networkHook) ProcessHook(next goredis.ProcessHook) goredis.ProcessHook {
	return func(ctx context.Context, cmd goredis.Cmder) error {
		if counts(cmd) {
			w.roundTrips.Add(1)
		}
		if w.down.Load() {
			cmd.SetErr(errNetworkDown)
			return errNetworkDown
		}
		return next(ctx, cmd)
	}
}

func (w *networkHook) ProcessPipelineHook(next goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []goredis.Cmder) error {
		if counts(cmds[0]) {
			w.roundTrips.Add(1)
		}
		if w.down.Load() {
			for _, cmd := range cmds {
				cmd.SetErr(errNetworkDown)
			}
			return errNetworkDown
		}
		err := next(ctx, cmds)
		if w.beforeReply != nil {
			w.beforeReply()
		}
		return err
	}
}

func counts(cmd goredis.Cmder) bool { return cmd.Name() != "hello" && cmd.Name() != "client" }

type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) lines() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Split(strings.TrimSpace(b.buf.String()), "\n")
}

// unresponsiveServer accepts connections and never sends a byte.
func unresponsiveServer(t *testing.T) string {
	t.Helper()
	subscription, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { subscription.Close() })
	return subscription.Addr().String() // the kernel accepts for it
}
