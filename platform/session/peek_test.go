package session_test

import (
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"example.com/todo/platform/apperr"
	"example.com/todo/platform/session"
	"example.com/todo/platform/testenv"
)

// A service with Peek needs a user of Redis that may only read the keys of sessions.
func TestPeekReadsASessionAndWritesNothing(t *testing.T) {
	t.Parallel()
	addr := testenv.StartRedis(t)
	f := newFixtureAt(t, addr)
	keys := "~" + f.cfg.KeyPrefix + "session:*"
	acl := []any{"ACL", "SETUSER", "reader", "on", ">secret", "+time", "+hmget", "+pttl"}
	err := f.client.Do(t.Context(), append(acl, "%R"+keys, "+eval_ro", "+evalsha_ro")...).Err()
	if goredis.HasErrorPrefix(err, "Error in ACL SETUSER") { // Redis before 7.0 has neither
		err = f.client.Do(t.Context(), append(acl, keys, "+eval", "+evalsha")...).Err()
	}
	if err != nil {
		t.Fatal(err)
	}
	client := goredis.NewClient(&goredis.Options{Addr: addr, Username: "reader", Password: "secret", DisableIdentity: true})
	t.Cleanup(func() { _ = client.Close() })
	reader := f.replica(client)

	token, created := f.create(t, ann)
	used := f.now(t).Add(-time.Hour)
	f.set(t, token, "last_seen", used)
	key := f.sessionKey(token)
	f.client.PExpire(t.Context(), key, time.Hour)
	got, err := reader.Peek(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	if got.ID != created.ID || got.User != ann || !got.LastSeen.Equal(time.UnixMilli(used.UnixMilli())) {
		t.Errorf("got %+v, want that of %+v, last seen %v", got, created, used)
	}
	expectWithin(t, "the time left", got.ExpiresAt.Sub(f.now(t)), time.Hour)
	expectWithin(t, "the TTL", f.client.PTTL(t.Context(), key).Val(), time.Hour)
	if _, err := reader.Check(t.Context(), token); err == nil || apperr.Of(err).Kind != apperr.Unavailable {
		t.Errorf("Check by a user that may only read: %v", err)
	}

	ended, _ := f.create(t, ann)
	f.client.Del(t.Context(), f.sessionKey(ended))
	old, _ := f.create(t, ann)
	f.set(t, old, "created_at", f.now(t).Add(-session.Defaults().MaxAge))
	overwritten, _ := f.create(t, ann)
	f.client.Del(t.Context(), f.sessionKey(overwritten))
	f.client.Set(t.Context(), f.sessionKey(overwritten), "x", 0)
	for name, token := range map[string]string{
		"an ended session": ended, "a session that is too old": old, "an overwritten session": overwritten,
		"an unknown token": strings.Repeat("A", 43), "a malformed token": "x", "no token": "",
	} {
		if _, err := reader.Peek(t.Context(), token); err == nil || apperr.Of(err).Kind != apperr.Unauthenticated {
			t.Errorf("%s: got %v, want apperr.Unauthenticated", name, err)
		}
	}
	client.Close()
	_, err = reader.Peek(t.Context(), token)
	expectKind(t, err, apperr.Unavailable)
}
