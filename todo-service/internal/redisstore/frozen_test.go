package redisstore_test

import (
	"context"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"example.com/todo/platform/testenv"
	"example.com/todo/todo-service/internal/redisstore"
)

// redisProcess is a Redis of the test's own, which the test may freeze.
type redisProcess struct {
	*exec.Cmd
	addr string
}

func startRedis(t *testing.T) redisProcess {
	t.Helper()
	return startRedisWithData(t, t.TempDir(), testenv.FreeAddr(t))
}

// startRedisWithData starts a Redis in dir, with the snapshot there, if any.
func startRedisWithData(t *testing.T, dir, addr string, args ...string) redisProcess {
	t.Helper()
	program := testenv.RequireEnv(t, "TEST_REDIS_SERVER")
	_, port, _ := net.SplitHostPort(addr)
	args = append([]string{"--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", dir}, args...)
	p := redisProcess{exec.Command(program, args...), addr}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	testenv.Eventually(t, "Redis listens", func() bool {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	return p
}

func (p redisProcess) kill() {
	_ = p.Process.Kill()
	_ = p.Wait()
}

func (p redisProcess) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := p.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// edgeRequests makes requests as the service does: the limiter, then the list or an
// invalidation.
type edgeRequests struct {
	limiter *redisstore.Limiter
	cache   *redisstore.ListCache
	list    fakeDatabase
}

func (e *edgeRequests) request(ctx context.Context, writes bool) time.Duration {
	began := time.Now()
	if !writes {
		ctx = e.cache.Prefetch(ctx, 0)
	}
	e.limiter.Allow(ctx, addr)
	if writes {
		_ = e.cache.Invalidate(ctx, 0, "")
	} else {
		_, _ = e.cache.Load(ctx, 0, e.list.query)
	}
	return time.Since(began)
}

// load runs 12 clients, each with one request after the other, every fourth a write.
// It returns how long each request took, the longest first.
func (e *edgeRequests) load(ctx context.Context, during time.Duration) []time.Duration {
	ctx, cancel := context.WithTimeout(ctx, during)
	defer cancel()
	var mu sync.Mutex
	var took []time.Duration
	var count atomic.Int64
	var clients sync.WaitGroup
	for range 12 {
		clients.Go(func() {
			for ctx.Err() == nil {
				one := e.request(context.WithoutCancel(ctx), count.Add(1)%4 == 0)
				mu.Lock()
				took = append(took, one)
				mu.Unlock()
				sleep(time.Millisecond)
			}
		})
	}
	clients.Wait()
	slices.SortFunc(took, func(a, b time.Duration) int { return int(b - a) })
	return took
}

// countSlow returns how many of the sorted durations are 30 ms or more.
func countSlow(took []time.Duration) (slow int) {
	for slow < len(took) && took[slow] >= 30*time.Millisecond {
		slow++
	}
	return slow
}

// frozenHook is a frozen Redis: every command times out. Once resumed it answers
// PINGs.
type frozenHook struct {
	answeringHook
	resumed atomic.Bool
}

func (s *frozenHook) ProcessHook(goredis.ProcessHook) goredis.ProcessHook {
	return func(_ context.Context, cmd goredis.Cmder) error {
		if s.resumed.Load() {
			return nil
		}
		cmd.SetErr(waitInVain())
		return cmd.Err()
	}
}

func (*frozenHook) ProcessPipelineHook(goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return func(_ context.Context, cmds []goredis.Cmder) error {
		err := waitInVain()
		for _, cmd := range cmds {
			cmd.SetErr(err)
		}
		return err
	}
}

func waitInVain() error {
	sleep(100 * time.Millisecond)
	return os.ErrDeadlineExceeded
}

// The clock is that of synctest: a busy machine does not matter.
func TestFrozenRedisDelaysEachClientOnceByAtMost50Milliseconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := goredis.NewClient(&goredis.Options{Addr: "127.0.0.1:1"})
		defer client.Close()
		redis := &frozenHook{}
		client.AddHook(redis)
		pipeline, log := redisstore.NewAutoPipeline(client), slog.New(slog.DiscardHandler)
		e := &edgeRequests{
			limiter: redisstore.NewLimiter(pipeline, "", redisstore.LimiterConfig{Requests: 1, Window: time.Second}, log, nil),
			cache:   redisstore.NewListCache(pipeline, "", log, nil),
			list:    fakeDatabase{body: `[1]`},
		}
		took := e.load(t.Context(), 2*time.Second)
		if slow := countSlow(took); slow > 12 || took[0] > 50*time.Millisecond {
			t.Errorf("%d of 12 clients' %d requests were slow, the slowest took %v", slow, len(took), took[0])
		}
		redis.resumed.Store(true)
		sleep(time.Second) // until the probe has ended
	})
}

func TestFrozenRedisDelaysFewRequests(t *testing.T) {
	redis := startRedis(t)
	s := open(t, redis.addr)
	e := &edgeRequests{
		limiter: redisstore.NewLimiter(s.pipeline, s.prefix, redisstore.LimiterConfig{Requests: 1_000_000, Window: time.Second}, s.log(), s.reg),
		cache:   redisstore.NewListCache(s.pipeline, s.prefix, s.log(), nil),
		list:    fakeDatabase{body: `[1]`},
	}
	usual := e.load(t.Context(), 200*time.Millisecond)[0]

	redis.signal(t, syscall.SIGSTOP)
	took := e.load(t.Context(), 2*time.Second)
	slow := countSlow(took)
	t.Logf("%d requests, %d of them slow, the slowest took %v; before the freeze the slowest took %v", len(took), slow, took[0], usual)
	if slow > len(took)/10 { // a busy machine delays some
		t.Errorf("%d of %d requests were slow", slow, len(took))
	}
	if got := s.count(t, "todo_ratelimit_unavailable_total"); got < len(took)-1 {
		t.Errorf("%d of %d requests were counted as uncounted", got, len(took))
	}

	redis.signal(t, syscall.SIGCONT)
	testenv.Eventually(t, "requests are counted, and lists come from the cache", func() bool {
		got, err := e.cache.Load(t.Context(), 0, e.list.query)
		return err == nil && got.Hit && counted(e.limiter.Allow(t.Context(), addr))
	})
	testenv.Eventually(t, "the end of the outage is logged", func() bool {
		e.request(t.Context(), false)
		return strings.Count(strings.Join(s.logged.lines(), "\n"), "works again") == 2
	})
	if lines := s.logged.lines(); len(lines) != 4 {
		t.Errorf("logged %d lines, want the beginning and the end for cache and limiter:\n%s", len(lines), strings.Join(lines, "\n"))
	}
}

func TestListCacheShowsAProcessItsWriteDuringAFreeze(t *testing.T) {
	t.Parallel()
	redis := startRedis(t)
	s := open(t, redis.addr)
	cache := redisstore.NewListCache(s.pipeline, s.prefix, s.log(), nil)
	expectEventually(t, cache, &fakeDatabase{body: `["old"]`})
	redis.signal(t, syscall.SIGSTOP)
	if err := cache.Invalidate(t.Context(), 0, ""); err == nil {
		t.Error("a frozen Redis confirmed")
	}
	redis.signal(t, syscall.SIGCONT)
	d := &fakeDatabase{body: `["new"]`}
	for range 1_000 {
		if got := load(t, cache, d); string(got.Body) != d.body {
			t.Fatalf("read %s after the write", got.Body)
		}
	}
	expectEventually(t, cache, d)
}

func expectEventually(t *testing.T, cache *redisstore.ListCache, d *fakeDatabase) {
	t.Helper()
	testenv.Eventually(t, "the list is a hit", func() bool {
		got := load(t, cache, d)
		return got.Hit && string(got.Body) == d.body
	})
}
