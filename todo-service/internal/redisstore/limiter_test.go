package redisstore_test

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	goredis "github.com/redis/go-redis/v9"

	"example.com/todo/platform/testenv"
	"example.com/todo/todo-service/internal/ratelimit"
	"example.com/todo/todo-service/internal/redisstore"
)

var addr = netip.MustParseAddr("192.0.2.7")

func openLimiter(t *testing.T, requests int, window time.Duration) (*testRedis, *redisstore.Limiter) {
	t.Helper()
	s := openRedis(t)
	return s, newLimiter(s, requests, window)
}

func newLimiter(s *testRedis, requests int, window time.Duration) *redisstore.Limiter {
	return redisstore.NewLimiter(s.replica(), s.prefix, redisstore.LimiterConfig{Requests: requests, Window: window}, s.log(), nil)
}

func allow(t *testing.T, l *redisstore.Limiter, addr string) ratelimit.Decision {
	t.Helper()
	var from netip.Addr
	if addr != "" {
		from = netip.MustParseAddr(addr)
	}
	decision := l.Allow(t.Context(), from)
	if !counted(decision) {
		t.Fatal("Redis did not answer")
	}
	return decision
}

// counted reports whether Redis counted the request: it then leaves the window later.
func counted(d ratelimit.Decision) bool { return d.Reset > 0 }

func TestLimiterRejectsRequestsBeyondTheLimit(t *testing.T) {
	t.Parallel()
	_, limiter := openLimiter(t, 3, time.Minute)
	for i, want := range []ratelimit.Decision{
		{Allowed: true, Limit: 3, Window: time.Minute, Remaining: 2},
		{Allowed: true, Limit: 3, Window: time.Minute, Remaining: 1},
		{Allowed: true, Limit: 3, Window: time.Minute, Remaining: 0},
		{Allowed: false, Limit: 3, Window: time.Minute, Remaining: 0},
		{Allowed: false, Limit: 3, Window: time.Minute, Remaining: 0},
	} {
		got := allow(t, limiter, "192.0.2.7")
		if got.Reset <= 50*time.Second || got.Reset > time.Minute {
			t.Errorf("request %d: reset in %v, want about a minute", i, got.Reset)
		}
		if !got.Allowed && got.RetryAfter != got.Reset {
			t.Errorf("request %d: retry after %v, want the time until the first leaves, %v", i, got.RetryAfter, got.Reset)
		}
		if got.Allowed && got.RetryAfter != 0 {
			t.Errorf("request %d: allowed, with retry after %v", i, got.RetryAfter)
		}
		got.Reset, got.RetryAfter = 0, 0
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Errorf("request %d (-want +got):\n%s", i, diff)
		}
	}
}

func TestLimiterSharesABudgetByAddress(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, first, second string
		key                 string // of the first
		shared              bool
	}{
		{"one IPv4 address", "192.0.2.7", "192.0.2.7", "192.0.2.7", true},
		{"two IPv4 addresses", "192.0.2.7", "192.0.2.8", "192.0.2.7", false},
		{"the same, mapped into IPv6", "192.0.2.7", "::ffff:192.0.2.7", "192.0.2.7", true},
		{"two mapped addresses", "::ffff:192.0.2.7", "::ffff:192.0.2.8", "192.0.2.7", false},
		{"two hosts of one /64", "2001:db8:1:2::1", "2001:db8:1:2:ffff::9", "2001:db8:1:2::/64", true},
		{"two networks", "2001:db8:1:2::1", "2001:db8:1:3::1", "2001:db8:1:2::/64", false},
		{"two zones", "fe80::1%eth0", "fe80::2%eth1", "fe80::/64", true},
		{"two without an address", "", "", "unknown", true},
		{"with and without", "192.0.2.7", "", "192.0.2.7", false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, limiter := openLimiter(t, 1, time.Minute)
			if !allow(t, limiter, c.first).Allowed {
				t.Fatal("the first request was rejected")
			}
			if keys := s.Keys(t.Context(), s.prefix+"*").Val(); !slices.Equal(keys, []string{s.prefix + "ratelimit:" + c.key}) {
				t.Errorf("the keys are %q", keys)
			}
			if shared := !allow(t, limiter, c.second).Allowed; shared != c.shared {
				t.Errorf("shared: %v, want %v", shared, c.shared)
			}
		})
	}
}

func TestLimiterWindowSlides(t *testing.T) {
	t.Parallel()
	const window = 300 * time.Millisecond
	s, limiter := openLimiter(t, 2, window)
	clock := func() time.Time { return s.Time(t.Context()).Val() }
	allow(t, limiter, "192.0.2.7")
	advanceClock(t, s, window/2)
	allow(t, limiter, "192.0.2.7")
	secondAt := clock() // or a little earlier
	third := allow(t, limiter, "192.0.2.7")
	for !third.Allowed { // rejections must not postpone it
		advanceClock(t, s, third.RetryAfter)
		secondLeavesIn := secondAt.Add(window).Sub(clock())
		third = allow(t, limiter, "192.0.2.7")
		if third.Allowed && third.Remaining == 0 && third.Reset > secondLeavesIn {
			t.Errorf("the oldest leaves in %v, want at most %v: the first has left", third.Reset, secondLeavesIn)
		}
	}
	advanceClock(t, s, window)
	if got := allow(t, limiter, "192.0.2.7").Remaining; got != 1 {
		t.Errorf("after a window without requests %d remain, want 1", got)
	}
}

func TestLimiterIgnoresRequestsOneWindowOld(t *testing.T) {
	t.Parallel()
	const window = time.Minute
	cases := []struct {
		name string
		age  time.Duration
		want bool
	}{
		{"a window old", window, true},
		{"a second short of it", window - time.Second, false},
		{"from a clock since set back", -time.Hour, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, limiter := openLimiter(t, 1, window)
			key := s.prefix + "ratelimit:192.0.2.7"
			then := s.Time(t.Context()).Val().Add(-c.age)
			s.ZAdd(t.Context(), key, goredis.Z{Score: float64(then.UnixMicro()), Member: "earlier"})
			if got := allow(t, limiter, "192.0.2.7").Allowed; got != c.want {
				t.Errorf("allowed: %v, want %v", got, c.want)
			}
		})
	}
}

func TestLimiterAppliesALoweredLimitAtOnce(t *testing.T) {
	t.Parallel()
	s, generous := openLimiter(t, 5, time.Minute)
	for range 4 {
		allow(t, generous, "192.0.2.7")
	}
	got := allow(t, newLimiter(s, 2, time.Minute), "192.0.2.7")
	if got.Allowed || got.Remaining != 0 {
		t.Errorf("allowed: %v with %d left, want a rejection", got.Allowed, got.Remaining)
	}
	if got.RetryAfter <= got.Reset { // three requests must leave, not one
		t.Errorf("retry after %v, but the first of three leaves in %v", got.RetryAfter, got.Reset)
	}
}

func TestLimiterGrantsConcurrentClientsExactlyTheLimit(t *testing.T) {
	t.Parallel()
	const clients, limit, window = 64, 400, 2 * time.Second
	s := openRedis(t)
	var replicas []*redisstore.Limiter
	for range 3 {
		replicas = append(replicas, newLimiter(s, limit, window))
	}
	type request struct{ sent, answered time.Time }
	var (
		mu      sync.Mutex
		allowed []request
		group   sync.WaitGroup
		end     = time.Now().Add(window * 5 / 2) // room for the limit three times: at 0, 1 and 2 windows
	)
	for i := range clients {
		group.Go(func() {
			for time.Now().Before(end) {
				sent := time.Now()
				decision := replicas[i%3].Allow(t.Context(), addr)
				answered := time.Now()
				if !counted(decision) {
					t.Error("Redis did not answer")
					return
				}
				if decision.Allowed {
					mu.Lock()
					allowed = append(allowed, request{sent, answered})
					mu.Unlock()
				}
			}
		})
	}
	group.Wait()
	slices.SortFunc(allowed, func(a, b request) int { return cmp.Compare(a.sent.UnixNano(), b.sent.UnixNano()) })
	for i, first := range allowed {
		inside := 0
		for _, other := range allowed[i:] {
			if other.answered.Before(first.sent.Add(window)) {
				inside++
			}
		}
		if inside > limit {
			t.Fatalf("%d requests within one window, want at most %d", inside, limit)
		}
	}
	if want := 3 * limit * 99 / 100; len(allowed) < want {
		t.Errorf("%d requests passed, want at least %d", len(allowed), want)
	}
}

func TestLimiterKeysExpire(t *testing.T) {
	t.Parallel()
	const window = 200 * time.Millisecond
	s, limiter := openLimiter(t, 2, window)
	key := s.prefix + "ratelimit:192.0.2.7"
	for range 5 {
		allow(t, limiter, "192.0.2.7")
		if ttl := s.PTTL(t.Context(), key).Val(); ttl <= 0 && s.Exists(t.Context(), key).Val() == 1 || ttl > window+time.Millisecond {
			t.Errorf("the TTL is %v, want at most the window", ttl)
		}
	}
	testenv.Eventually(t, "the key is gone", func() bool { return s.Exists(t.Context(), key).Val() == 0 })
}

func TestLimiterReplacesAKeyOfAnotherType(t *testing.T) {
	t.Parallel()
	s, limiter := openLimiter(t, 1, time.Minute)
	s.Set(t.Context(), s.prefix+"ratelimit:192.0.2.7", "corrupt", 0)
	for _, want := range []bool{true, false} {
		if got := allow(t, limiter, "192.0.2.7").Allowed; got != want {
			t.Errorf("allowed: %v, want %v", got, want)
		}
	}
}

func TestLimiterReloadsAFlushedScript(t *testing.T) {
	t.Parallel()
	s := openOwnRedis(t)
	limiter := redisstore.NewLimiter(s.pipeline, s.prefix, redisstore.LimiterConfig{Requests: 1, Window: time.Minute}, s.log(), s.reg)
	for _, want := range []bool{true, false} {
		if err := s.ScriptFlush(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		if got := allow(t, limiter, "192.0.2.7").Allowed; got != want {
			t.Errorf("allowed: %v, want %v", got, want)
		}
	}
}

func TestLimiterLetsRequestsPassWithoutRedis(t *testing.T) {
	t.Parallel()
	for name, server := range map[string]string{"down": testenv.FreeAddr(t), "frozen": unresponsiveServer(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, server)
			limiter := redisstore.NewLimiter(s.pipeline, s.prefix, redisstore.LimiterConfig{Requests: 5, Window: time.Minute}, s.log(), s.reg)
			const requests = 200
			var quickest, total time.Duration = time.Hour, 0
			for range requests {
				began := time.Now()
				got := limiter.Allow(t.Context(), addr)
				took := time.Since(began)
				quickest, total = min(quickest, took), total+took
				if diff := gocmp.Diff(ratelimit.Decision{Allowed: true, Limit: 5, Window: time.Minute, Remaining: 5}, got); diff != "" {
					t.Fatalf("decision (-want +got):\n%s", diff)
				}
			}
			if quickest > 50*time.Millisecond || total > requests*50*time.Millisecond/4 {
				t.Errorf("%d requests waited %v, the quickest %v: only the first few may wait", requests, total, quickest)
			}
			s.expectCount(t, "todo_ratelimit_unavailable_total", requests)
			if lines := s.logged.lines(); len(lines) != 1 || !strings.Contains(lines[0], "uncounted") {
				t.Errorf("logged %q, want one line for the outage", lines)
			}
		})
	}
}

func TestLimiterCountsAgainWhenRedisIsBack(t *testing.T) {
	t.Parallel()
	s, limiter := openLimiter(t, 1000, time.Minute)
	s.network.down.Store(true)
	for range 20 {
		if got := limiter.Allow(t.Context(), addr); !got.Allowed || counted(got) {
			t.Fatalf("during the outage: %+v", got)
		}
	}
	s.network.down.Store(false)
	testenv.Eventually(t, "requests are counted and the end is logged", func() bool {
		return counted(limiter.Allow(t.Context(), addr)) && len(s.logged.lines()) == 2
	})
}

// advanceClock waits until d has passed on Redis' clock.
func advanceClock(t *testing.T, s *testRedis, d time.Duration) {
	t.Helper()
	end := s.Time(t.Context()).Val().Add(d)
	testenv.Eventually(t, "Redis' clock has moved on", func() bool { return !s.Time(t.Context()).Val().Before(end) })
}

func TestLimiterRecordsNoOutageForACancelledCaller(t *testing.T) {
	t.Parallel()
	s := openRedis(t)
	limiter := redisstore.NewLimiter(s.pipeline, s.prefix, redisstore.LimiterConfig{Requests: 1, Window: time.Minute}, s.log(), s.reg)
	_, release := holdReplies(s)
	defer release()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if counted(limiter.Allow(ctx, addr)) {
		t.Error("the cancelled caller got a decision of Redis")
	}
	s.expectCount(t, "todo_ratelimit_unavailable_total", 0)
}
