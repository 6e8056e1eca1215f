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

// process is a Redis of the test's own, which may be frozen.
type process struct {
	*exec.Cmd
	addr string
}

func startRedis(t *testing.T) process {
	t.Helper()
	return startRedisIn(t, t.TempDir(), testenv.FreeAddr(t))
}

// startRedisIn starts a Redis with the snapshot that the folder has, if any.
func startRedisIn(t *testing.T, dir, addr string, args ...string) process {
	t.Helper()
	program := testenv.RequireEnv(t, "TEST_REDIS_SERVER")
	_, port, _ := net.SplitHostPort(addr)
	args = append([]string{"--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", dir}, args...)
	p := process{exec.Command(program, args...), addr}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	eventually(t, "Redis listens", func() bool {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	return p
}

func (p process) kill() {
	_ = p.Process.Kill()
	_ = p.Wait()
}

func (p process) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := p.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// atEdge is what a request meets: the limiter, then the list or an invalidation.
type atEdge struct {
	limiter *redisstore.Limiter
	cache   *redisstore.ListCache
	list    database
}

func (e *atEdge) request(ctx context.Context, writes bool) time.Duration {
	began := time.Now()
	if !writes {
		ctx = e.cache.Prefetch(ctx)
	}
	e.limiter.Allow(ctx, addr)
	if writes {
		_ = e.cache.Invalidate(ctx, "")
	} else {
		_, _ = e.cache.Load(ctx, e.list.query)
	}
	return time.Since(began)
}

// load has 12 clients, each with one request after the other, of which every
// fourth writes, and returns how long each took, the longest first.
func (e *atEdge) load(ctx context.Context, during time.Duration) []time.Duration {
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
				pass(time.Millisecond)
			}
		})
	}
	clients.Wait()
	slices.SortFunc(took, func(a, b time.Duration) int { return int(b - a) })
	return took
}

// payers counts those who lost time, of those sorted by it.
func payers(took []time.Duration) (paid int) {
	for paid < len(took) && took[paid] >= 30*time.Millisecond {
		paid++
	}
	return paid
}

// silent is a Redis that is frozen: who asks it hears nothing until he gives up.
// Once thawed it answers PINGs.
type silent struct {
	sane
	thawed atomic.Bool
}

func (s *silent) ProcessHook(goredis.ProcessHook) goredis.ProcessHook {
	return func(_ context.Context, cmd goredis.Cmder) error {
		if s.thawed.Load() {
			return nil
		}
		cmd.SetErr(silence())
		return cmd.Err()
	}
}

func (*silent) ProcessPipelineHook(goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return func(_ context.Context, cmds []goredis.Cmder) error {
		err := silence()
		for _, cmd := range cmds {
			cmd.SetErr(err)
		}
		return err
	}
}

func silence() error {
	pass(100 * time.Millisecond)
	return os.ErrDeadlineExceeded
}

// The time is not that of the machine, which may be busy.
func TestAFrozenRedisCostsEachClientAtMost50MillisecondsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := goredis.NewClient(&goredis.Options{Addr: "127.0.0.1:1"})
		defer client.Close()
		redis := &silent{}
		client.AddHook(redis)
		shuttle, log := redisstore.NewAutoPipeline(client), slog.New(slog.DiscardHandler)
		e := &atEdge{
			limiter: redisstore.NewLimiter(shuttle, redisstore.LimiterConfig{Requests: 1, Window: time.Second}, log, nil),
			cache:   redisstore.NewListCache(shuttle, "", log, nil),
			list:    database{body: `[1]`},
		}
		took := e.load(t.Context(), 2*time.Second)
		if paid := payers(took); paid > 12 || took[0] > 50*time.Millisecond {
			t.Errorf("%d of 12 clients' %d requests paid, at most %v", paid, len(took), took[0])
		}
		redis.thawed.Store(true)
		pass(time.Second) // until nobody asks any more
	})
}

func TestAFrozenRedisCostsFewRequestsLittle(t *testing.T) {
	redis := startRedis(t)
	s := open(t, redis.addr)
	e := &atEdge{
		limiter: redisstore.NewLimiter(s.shuttle, redisstore.LimiterConfig{Prefix: s.prefix, Requests: 1_000_000, Window: time.Second}, s.log(), s.reg),
		cache:   redisstore.NewListCache(s.shuttle, s.prefix, s.log(), nil),
		list:    database{body: `[1]`},
	}
	usual := e.load(t.Context(), 200*time.Millisecond)[0]

	redis.signal(t, syscall.SIGSTOP)
	took := e.load(t.Context(), 2*time.Second)
	paid := payers(took)
	t.Logf("%d requests, of which %d paid, at most %v; before that the slowest took %v", len(took), paid, took[0], usual)
	if paid > len(took)/10 { // a busy machine makes some wait for itself
		t.Errorf("%d of %d requests paid", paid, len(took))
	}
	if got := s.count(t, "todo_ratelimit_unavailable_total"); got < len(took)-1 {
		t.Errorf("%d of %d requests were counted as uncounted", got, len(took))
	}

	redis.signal(t, syscall.SIGCONT)
	eventually(t, "requests are counted, and lists come from the cache", func() bool {
		got, err := e.cache.Load(t.Context(), e.list.query)
		return err == nil && got.Hit && counted(e.limiter.Allow(t.Context(), addr))
	})
	eventually(t, "the end of the outage is logged", func() bool {
		e.request(t.Context(), false)
		return strings.Count(strings.Join(s.logged.lines(), "\n"), "works again") == 2
	})
	if lines := s.logged.lines(); len(lines) != 4 {
		t.Errorf("logged %d lines, want one for each change of state of each user:\n%s", len(lines), strings.Join(lines, "\n"))
	}
}

// Whoever wrote while Redis was frozen is not shown what was there before.
func TestAWriteToAFrozenRedisIsSeenByItsOwnProcess(t *testing.T) {
	t.Parallel()
	redis := startRedis(t)
	s := open(t, redis.addr)
	cache := redisstore.NewListCache(s.shuttle, s.prefix, s.log(), nil)
	expectEventually(t, cache, &database{body: `["old"]`})
	redis.signal(t, syscall.SIGSTOP)
	if err := cache.Invalidate(t.Context(), ""); err == nil {
		t.Error("a frozen Redis confirmed")
	}
	redis.signal(t, syscall.SIGCONT)
	d := &database{body: `["new"]`}
	for range 1_000 {
		if got := load(t, cache, d); string(got.Body) != d.body {
			t.Fatalf("read %s after the write", got.Body)
		}
	}
	expectEventually(t, cache, d)
}

func expectEventually(t *testing.T, cache *redisstore.ListCache, d *database) {
	t.Helper()
	eventually(t, "the list is a hit", func() bool {
		got := load(t, cache, d)
		return got.Hit && string(got.Body) == d.body
	})
}
