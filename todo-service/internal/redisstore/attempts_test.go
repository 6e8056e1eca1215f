package redisstore_test

import (
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"example.com/todo/platform/apperr"
	"example.com/todo/platform/testenv"
	"example.com/todo/platform/testenv/netproxy"
	"example.com/todo/todo-service/internal/account"
	"example.com/todo/todo-service/internal/redisstore"
)

// attemptsFixture counts attempts, on a clock that a test can move.
type attemptsFixture struct {
	*testing.T
	redis  *testRedis
	limits *redisstore.AttemptLimits
}

func openAttempts(t *testing.T) attemptsFixture {
	t.Helper()
	s := openRedis(t)
	limits := redisstore.NewAttemptLimits(s, s.prefix)
	limits.ExtendTimeout()
	return attemptsFixture{t, s, limits}
}

// pass moves the attempts into the past.
func (f attemptsFixture) pass(d time.Duration) {
	f.Helper()
	keys, err := f.redis.Keys(f.Context(), f.redis.prefix+"sign*").Result()
	if err != nil || len(keys) == 0 {
		f.Fatalf("keys %q, error %v", keys, err)
	}
	for _, key := range keys {
		if strings.Contains(key, ":known:") {
			ttl, err := f.redis.PTTL(f.Context(), key).Result()
			if err == nil {
				err = f.redis.PExpire(f.Context(), key, ttl-d).Err()
			}
			if err != nil {
				f.Fatal(err)
			}
			continue
		}
		entries, err := f.redis.ZRangeWithScores(f.Context(), key, 0, -1).Result()
		for _, entry := range entries {
			f.redis.ZAdd(f.Context(), key, goredis.Z{Score: entry.Score - float64(d.Microseconds()), Member: entry.Member})
		}
		if err != nil {
			f.Fatal(err)
		}
	}
}

func address(i int) netip.Addr { return netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)}) }

// signIn wants an attempt to be counted.
func (f attemptsFixture) signIn(name string, from netip.Addr) account.Attempt {
	f.Helper()
	a, err := f.limits.CountSignIn(f.Context(), name, from)
	if err != nil {
		f.Fatalf("%s from %v: %v", name, from, err)
	}
	return a
}

// wantLimited wants an attempt to be refused until about that time has passed.
func (f attemptsFixture) wantLimited(err error, after time.Duration) {
	f.Helper()
	if err == nil || apperr.Of(err).Kind != apperr.RateLimited {
		f.Fatalf("got %v, want apperr.RateLimited", err)
	}
	if got := apperr.Of(err).RetryAfter; got > after || got < after-30*time.Second {
		f.Errorf("retry after %v, want about %v", got, after)
	}
}

func (f attemptsFixture) wantSignInLimited(name string, from netip.Addr, after time.Duration) {
	f.Helper()
	_, err := f.limits.CountSignIn(f.Context(), name, from)
	f.wantLimited(err, after)
}

func TestTenSignInsAMinuteOfAnAddress(t *testing.T) {
	t.Parallel()
	f := openAttempts(t)
	for i := range 10 {
		f.signIn(fmt.Sprint(i), address(1))
	}
	f.wantSignInLimited("10", address(1), time.Minute)
	f.signIn("10", address(2))
	f.pass(59 * time.Second)
	f.wantSignInLimited("10", address(1), time.Second)
	f.pass(2 * time.Second)
	f.signIn("10", address(1))
	if left, err := f.redis.ZCard(t.Context(), f.redis.prefix+"signin:address:198.51.0.1").Result(); left != 1 || err != nil {
		t.Errorf("the log has %d attempts, want the last one; error %v", left, err)
	}
}

func TestTenSignInsInAQuarterOfAnHourOfAnAccountFromAnAddress(t *testing.T) {
	t.Parallel()
	f := openAttempts(t)
	for range 10 {
		f.signIn("ann", address(1))
		f.pass(7 * time.Second) // no minute has ten
	}
	f.wantSignInLimited("ann", address(1), 15*time.Minute-70*time.Second)
	f.signIn("bob", address(1))
	f.signIn("ann", address(2))
	f.pass(15*time.Minute - 69*time.Second)
	f.signIn("ann", address(1))
}

func TestHundredSignInsAnHourOfAnAccountFromUnknownAddresses(t *testing.T) {
	t.Parallel()
	f := openAttempts(t)
	known := f.signIn("ann", address(5000))
	if err := f.limits.GiveBack(t.Context(), known, true); err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		f.signIn("ann", address(i))
	}
	f.wantSignInLimited("ann", address(100), time.Hour)
	f.signIn("bob", address(100))
	for range 10 {
		f.signIn("ann", address(5000)) // which has signed in
		f.pass(7 * time.Second)
	}
	f.wantSignInLimited("ann", address(5000), 15*time.Minute-70*time.Second)
	f.pass(time.Hour)
	f.signIn("ann", address(100))
}

func TestAddressIsKnownForThirtyDays(t *testing.T) {
	t.Parallel()
	f := openAttempts(t)
	if err := f.limits.GiveBack(t.Context(), f.signIn("ann", address(5000)), true); err != nil {
		t.Fatal(err)
	}
	f.pass(30*24*time.Hour - time.Minute)
	for i := range 100 {
		f.signIn("ann", address(i))
	}
	f.signIn("ann", address(5000))
	f.pass(2 * time.Minute)
	f.wantSignInLimited("ann", address(5000), time.Hour-2*time.Minute)
}

func TestAttemptIsGivenBackInEveryWindow(t *testing.T) {
	t.Parallel()
	for _, succeeded := range []bool{true, false} {
		f := openAttempts(t)
		for range 30 {
			if err := f.limits.GiveBack(t.Context(), f.signIn("ann", address(1)), succeeded); err != nil {
				t.Fatal(err)
			}
		}
		logs, err := f.redis.Exists(t.Context(), f.redis.prefix+"signin:address:198.51.0.1",
			f.redis.prefix+"signin:pair:ann:198.51.0.1", f.redis.prefix+"signin:account:ann").Result()
		if err != nil || logs != 0 {
			t.Errorf("succeeded is %t: %d of 3 logs have attempts, error %v", succeeded, logs, err)
		}
		known, err := f.redis.Exists(t.Context(), f.redis.prefix+"signin:known:ann:198.51.0.1").Result()
		if err != nil || (known == 1) != succeeded {
			t.Errorf("succeeded is %t: %d known addresses, error %v", succeeded, known, err)
		}
	}
}

func TestFiveSignUpsAnHourOfAnAddress(t *testing.T) {
	t.Parallel()
	f := openAttempts(t)
	network := netip.MustParseAddr("2001:db8:1:2::1")
	for range 5 {
		if err := f.limits.CountSignUp(t.Context(), network); err != nil {
			t.Fatal(err)
		}
	}
	f.wantLimited(f.limits.CountSignUp(t.Context(), netip.MustParseAddr("2001:db8:1:2:3::9")), time.Hour)
	if err := f.limits.CountSignUp(t.Context(), netip.MustParseAddr("2001:db8:1:3::1")); err != nil {
		t.Error(err)
	}
	f.signIn("ann", network)
	f.pass(time.Hour)
	if err := f.limits.CountSignUp(t.Context(), network); err != nil {
		t.Error(err)
	}
}

func TestConcurrentAttemptsAreCountedExactly(t *testing.T) {
	t.Parallel()
	f := openAttempts(t)
	var passed atomic.Int64
	var group sync.WaitGroup
	for range 50 {
		group.Go(func() {
			_, err := f.limits.CountSignIn(t.Context(), "ann", address(1))
			if err == nil {
				passed.Add(1)
			} else if apperr.Of(err).Kind != apperr.RateLimited {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if passed.Load() != 10 {
		t.Errorf("%d of 50 concurrent attempts passed, want 10", passed.Load())
	}
}

func TestAttemptKeysExpire(t *testing.T) {
	t.Parallel()
	f := openAttempts(t)
	a := f.signIn("ann", address(1))
	f.signIn("ann", address(1))
	if err := f.limits.GiveBack(t.Context(), a, true); err != nil {
		t.Fatal(err)
	}
	if err := f.limits.CountSignUp(t.Context(), netip.Addr{}); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]time.Duration{
		"signin:address:198.51.0.1": time.Minute, "signin:pair:ann:198.51.0.1": 15 * time.Minute, "signin:account:ann": time.Hour,
		"signin:known:ann:198.51.0.1": 30 * 24 * time.Hour, "signup:unknown": time.Hour,
	} {
		ttl, err := f.redis.PTTL(t.Context(), f.redis.prefix+key).Result()
		if err != nil || ttl > want+time.Second || ttl < want-time.Minute {
			t.Errorf("%s expires in %v, want about %v; error %v", key, ttl, want, err)
		}
	}
}

func TestAttemptsReplaceKeysOfAnotherType(t *testing.T) {
	t.Parallel()
	f := openAttempts(t)
	for _, key := range []string{"signin:address:198.51.0.1", "signin:pair:ann:198.51.0.1", "signin:account:ann"} {
		f.redis.Set(t.Context(), f.redis.prefix+key, "garbage", 0)
	}
	a := f.signIn("ann", address(1))
	f.redis.Set(t.Context(), f.redis.prefix+"signin:account:ann", "garbage", 0)
	if err := f.limits.GiveBack(t.Context(), a, false); err != nil {
		t.Error(err)
	}
}

func TestAttemptsFailClosedWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	for name, addr := range map[string]string{"Redis is frozen": unresponsiveServer(t), "Redis is down": "127.0.0.1:1"} {
		s := open(t, addr)
		limits := redisstore.NewAttemptLimits(s, s.prefix)
		for method, call := range map[string]func() error{
			"CountSignIn": func() error { _, err := limits.CountSignIn(t.Context(), "ann", address(1)); return err },
			"CountSignUp": func() error { return limits.CountSignUp(t.Context(), address(1)) },
			"GiveBack":    func() error { return limits.GiveBack(t.Context(), account.Attempt{}, true) },
		} {
			err := call()
			if err == nil || apperr.Of(err).Kind != apperr.Unavailable || strings.Contains(apperr.Of(err).Message, addr) {
				t.Errorf("%s, %s: got %v", name, method, err)
			}
		}
	}
}

func TestAttemptsWithATokenCountByAddressAlone(t *testing.T) {
	t.Parallel()
	f := openAttempts(t)
	for range 20 {
		if err := f.limits.GiveBack(t.Context(), f.signIn("", address(1)), true); err != nil {
			t.Fatal(err)
		}
	}
	for range 10 {
		f.signIn("", address(1))
	}
	f.wantSignInLimited("", address(1), time.Minute)
	f.signIn("", address(2))
	keys, err := f.redis.Keys(t.Context(), f.redis.prefix+"*").Result()
	if err != nil || len(keys) != 2 {
		t.Errorf("keys %q, error %v", keys, err)
	}
}

func TestAnAttemptThatRedisConfirmsTooLateDoesNotCount(t *testing.T) {
	t.Parallel()
	direct := openRedis(t)
	proxy := testenv.StartProxy(t, testenv.RequireEnv(t, "TEST_REDIS_ADDR"))
	s := open(t, proxy.Addr())
	limits := redisstore.NewAttemptLimits(s, s.prefix)
	log := s.prefix + "signin:pair:ann:" + address(1).String()
	testenv.Eventually(t, "Redis has the scripts", func() bool {
		a, err := limits.CountSignIn(t.Context(), "ann", address(1))
		return err == nil && limits.GiveBack(t.Context(), a, false) == nil && direct.ZCard(t.Context(), log).Val() == 0
	})
	client := s.UniversalClient.(*goredis.Client)
	conns := []*goredis.Conn{client.Conn(), client.Conn()} // the call that times out closes one
	for _, conn := range conns {
		if err := conn.Ping(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for _, conn := range conns {
		conn.Close() // returns it to the pool
	}
	proxy.SetMode(netproxy.DropResponses)
	_, err := limits.CountSignIn(t.Context(), "ann", address(1))
	if err == nil || apperr.Of(err).Kind != apperr.Unavailable {
		t.Fatalf("without an answer: %v", err)
	}
	testenv.Eventually(t, "the attempt does not count", func() bool {
		count, err := direct.ZCard(t.Context(), log).Result()
		return err == nil && count == 0
	})
}
