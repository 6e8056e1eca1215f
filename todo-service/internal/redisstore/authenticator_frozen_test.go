package redisstore_test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"example.com/todo/platform/apperr"
	"example.com/todo/platform/session"
	"example.com/todo/platform/testenv"
	"example.com/todo/todo-service/internal/redisstore"
)

// sessionHook is a Redis that has a session of user 7 for every token, and may be frozen.
type sessionHook struct{ frozen atomic.Bool }

func (*sessionHook) DialHook(next goredis.DialHook) goredis.DialHook { return next }

func (h *sessionHook) ProcessHook(goredis.ProcessHook) goredis.ProcessHook {
	return func(_ context.Context, ping goredis.Cmder) error {
		if h.frozen.Load() {
			ping.SetErr(waitInVain())
		}
		return ping.Err()
	}
}

func (h *sessionHook) ProcessPipelineHook(goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return func(_ context.Context, cmds []goredis.Cmder) error {
		var err error
		if h.frozen.Load() {
			err = waitInVain()
		}
		for _, cmd := range cmds {
			cmd.SetErr(err)
			now, key := int64(1_800_000_000_000), cmd.Args()[3].(string)
			switch {
			case err != nil:
			case strings.HasPrefix(key, "session:"):
				cmd.(*goredis.Cmd).SetVal([]any{"id", "7", "user", now, now, now})
			case strings.HasPrefix(key, "ratelimit:user:7"):
				cmd.(*goredis.Cmd).SetVal([]any{int64(1_000), int64(0), int64(1), int64(0)})
			}
		}
		return err
	}
}

// hookedSignIn returns an Authenticator whose Redis is a sessionHook.
func hookedSignIn(t *testing.T) (*sessionHook, *redisstore.AutoPipeline, *redisstore.Authenticator) {
	t.Helper()
	client := goredis.NewClient(&goredis.Options{Addr: "127.0.0.1:1"})
	t.Cleanup(func() { client.Close() })
	hook := &sessionHook{}
	client.AddHook(hook)
	pipeline, log := redisstore.NewAutoPipeline(client), slog.New(slog.DiscardHandler)
	return hook, pipeline, redisstore.NewAuthenticator(redisstore.AuthenticatorConfig{
		Sessions: session.NewStore(client, session.Defaults()),
		Pipeline: pipeline,
		Lists:    redisstore.NewListCache(pipeline, "", log, nil),
		Limiter:  redisstore.NewLimiter(pipeline, "", redisstore.LimiterConfig{Requests: 1_000, Window: time.Second}, log, nil),
		Log:      log,
	})
}

func randomToken() string {
	random := make([]byte, 32)
	_, _ = rand.Read(random)
	return base64.RawURLEncoding.EncodeToString(random)
}

// The clock is that of synctest: a busy machine does not matter.
func TestFrozenRedisPassesNoSignedInRequestAndRefusesWithin50Milliseconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hook, _, authenticator := hookedSignIn(t)
		known := randomToken()
		authenticate := func(token string) error {
			_, _, err := authenticator.Authenticate(t.Context(), redisstore.AuthRequest{Token: token, Client: addr})
			return err
		}
		if err := authenticate(known); err != nil {
			t.Fatal(err)
		}

		hook.frozen.Store(true)
		end := time.Now().Add(10 * time.Second)
		var requests, slow atomic.Int64
		var clients sync.WaitGroup
		for i := range 12 {
			clients.Go(func() {
				for time.Now().Before(end) {
					token := known
					if i%2 == 0 {
						token = randomToken()
					}
					began := time.Now()
					err := authenticate(token)
					if err == nil || apperr.Of(err).Kind != apperr.Unavailable {
						t.Errorf("a frozen Redis: got %v, want Unavailable", err)
					}
					switch took := time.Since(began); {
					case took > 50*time.Millisecond:
						t.Errorf("a frozen Redis delayed a request by %v", took)
					case took >= 30*time.Millisecond:
						slow.Add(1)
					}
					requests.Add(1)
					sleep(time.Millisecond)
				}
			})
		}
		clients.Wait()
		if slow.Load() > 12 {
			t.Errorf("%d of %d requests waited, want each of 12 clients once", slow.Load(), requests.Load())
		}

		hook.frozen.Store(false)
		for returned := time.Now(); authenticate(known) != nil; sleep(10 * time.Millisecond) {
			if time.Since(returned) > 5*time.Second {
				t.Fatal("no request passed within 5 s of the return")
			}
		}
		sleep(time.Second) // until the probe has ended
	})
}

func TestAuthenticatorRecoversFromAFrozenRedis(t *testing.T) {
	t.Parallel()
	redis := startRedis(t)
	in := openSignIn(t, open(t, redis.addr))
	token, d := in.newToken(t, 7), &fakeDatabase{body: `["mine"]`}
	passes := func() bool {
		user, _, err := in.get(t, token, d)
		return err == nil && user.ID == 7
	}
	testenv.Eventually(t, "the user is signed in", passes)
	redis.signal(t, syscall.SIGSTOP)
	const requests = 200
	before := in.count(t, "todo_session_checks_unavailable_total")
	for range requests {
		in.expectKind(t, token, apperr.Unavailable)
	}
	in.expectCount(t, "todo_session_checks_unavailable_total", before+requests)
	redis.signal(t, syscall.SIGCONT)
	returned := time.Now()
	testenv.Eventually(t, "the user is signed in", passes)
	if took := time.Since(returned); took > 5*time.Second {
		t.Errorf("requests passed again after %v", took)
	}
	testenv.Eventually(t, "the end of the outage is logged", func() bool {
		_ = passes()
		return strings.Contains(strings.Join(in.logged.lines(), "\n"), "sessions: Redis works again")
	})
}

func TestAuthenticatorBoundsTheSessionsThatItRemembers(t *testing.T) {
	t.Parallel()
	_, pipeline, authenticator := hookedSignIn(t)
	pipeline.ExtendTimeout()
	var clients sync.WaitGroup
	for range 100 {
		clients.Go(func() {
			for range redisstore.MaxRememberedSessions / 90 {
				if _, _, err := authenticator.Authenticate(t.Context(), redisstore.AuthRequest{Token: randomToken(), Client: addr}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	clients.Wait()
	if got := authenticator.Remembered(); got != redisstore.MaxRememberedSessions {
		t.Errorf("%d sessions are remembered, want %d", got, redisstore.MaxRememberedSessions)
	}
}
