package session_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"example.com/todo/platform/apperr"
	"example.com/todo/platform/redis"
	"example.com/todo/platform/session"
	"example.com/todo/platform/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

const slow = 10 * time.Second // of a test beside others

var ann = session.User{ID: 7, Role: "member"}

// fixture is a Store over a real Redis, under a prefix of its own.
type fixture struct {
	*session.Store
	client goredis.UniversalClient
	cfg    session.Config
}

func newFixture(t *testing.T) fixture {
	t.Helper()
	return newFixtureAt(t, testenv.RequireEnv(t, "TEST_REDIS_ADDR"))
}

func newFixtureAt(t *testing.T, addr string) fixture {
	t.Helper()
	client := openClient(t, addr)
	cfg := session.Defaults()
	cfg.KeyPrefix = "{test-" + rand.Text() + "}:"
	t.Cleanup(func() {
		for _, key := range client.Keys(context.Background(), cfg.KeyPrefix+"*").Val() {
			client.Del(context.Background(), key)
		}
	})
	f := fixture{client: client, cfg: cfg}
	f.Store = f.replica(client)
	return f
}

func openClient(t *testing.T, addr string) goredis.UniversalClient {
	t.Helper()
	cfg := redis.Defaults()
	cfg.Addr, cfg.Timeout = addr, slow
	client := redis.Open(cfg, "redis", nil)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// replica returns another Store with the same sessions.
func (f fixture) replica(client goredis.UniversalClient) *session.Store {
	store := session.NewStore(client, f.cfg)
	store.SetCheckTimeout(slow)
	return store
}

func (f fixture) create(t *testing.T, user session.User) (token string, created session.Session) {
	t.Helper()
	token, created, err := f.Create(t.Context(), user)
	if err != nil {
		t.Fatal(err)
	}
	return token, created
}

// sessionKey returns the key that SPEC fixes: session:<SHA-256 of the token, hex>.
func (f fixture) sessionKey(token string) string {
	sum := sha256.Sum256([]byte(token))
	return f.cfg.KeyPrefix + "session:" + hex.EncodeToString(sum[:])
}

func (f fixture) listKey(user session.User) string {
	return f.cfg.KeyPrefix + "sessions:" + strconv.FormatInt(user.ID, 10)
}

// now returns the clock of Redis.
func (f fixture) now(t *testing.T) time.Time {
	t.Helper()
	now, err := f.client.Time(t.Context()).Result()
	if err != nil {
		t.Fatal(err)
	}
	return now
}

// set sets a time of a session, as if it had been created or used then.
func (f fixture) set(t *testing.T, token, field string, at time.Time) {
	t.Helper()
	if err := f.client.HSet(t.Context(), f.sessionKey(token), field, at.UnixMilli()).Err(); err != nil {
		t.Fatal(err)
	}
}

func (f fixture) expectValid(t *testing.T, token string, want session.Session) {
	t.Helper()
	got, err := f.Check(t.Context(), token)
	if err != nil {
		t.Errorf("check: %v", err)
	}
	if got.ID != want.ID || got.User != want.User {
		t.Errorf("got the session %+v, want %+v", got, want)
	}
}

func expectKind(t *testing.T, err error, want apperr.Kind) {
	t.Helper()
	if err == nil || apperr.Of(err).Kind != want {
		t.Errorf("got the error %v, want kind %d", err, want)
	}
}

// expectWithin fails the test unless got is want, or a little less on a slow machine.
func expectWithin(t *testing.T, what string, got, want time.Duration) {
	t.Helper()
	if got > want || got < want-slow {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}
