package session_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"example.com/todo/platform/apperr"
	"example.com/todo/platform/session"
	"example.com/todo/platform/testenv"
)

func TestCreateStoresTheSessionUnderTheHashOfItsToken(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	before := f.now(t).Truncate(time.Millisecond)
	token, created := f.create(t, ann)
	if len(token) != 43 || strings.Trim(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
		t.Errorf("the token %q is not 256 bits in base64url", token)
	}
	if created.CreatedAt.Before(before) || !created.LastSeen.Equal(created.CreatedAt) || !created.ExpiresAt.Equal(created.CreatedAt.Add(24*time.Hour)) {
		t.Errorf("the times are %+v", created)
	}
	stored := f.client.HGetAll(t.Context(), f.sessionKey(token)).Val()
	millis := stored["created_at"]
	want := map[string]string{"id": created.ID, "user_id": "7", "role": "member", "created_at": millis, "last_seen": millis}
	if diff := cmp.Diff(want, stored); diff != "" {
		t.Errorf("hash (-want +got):\n%s", diff)
	}
	got, err := f.Check(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	ignored := cmp.Options{cmpopts.IgnoreUnexported(session.Session{}), cmpopts.IgnoreFields(session.Session{}, "ExpiresAt")}
	if diff := cmp.Diff(created, got, ignored); diff != "" {
		t.Errorf("checked (-created +checked):\n%s", diff)
	}
}

func TestRedisNeverHasAToken(t *testing.T) {
	t.Parallel()
	f := newFixtureAt(t, testenv.StartRedis(t))
	tokens := map[string]session.Session{}
	for range 60 {
		token, created := f.create(t, ann)
		tokens[token] = created
	}
	for token := range tokens {
		_, _ = f.Check(t.Context(), token)
	}
	if _, err := f.List(t.Context(), ann.ID); err != nil {
		t.Fatal(err)
	}
	keys := f.client.Keys(t.Context(), "*").Val()
	if len(keys) != 51 {
		t.Fatalf("%d keys, want 50 sessions and their list", len(keys))
	}
	for _, key := range keys {
		dump := key + f.client.Dump(t.Context(), key).Val()
		dump += strings.Join(f.client.HVals(t.Context(), key).Val(), " ") + strings.Join(f.client.ZRange(t.Context(), key, 0, -1).Val(), " ")
		for token := range tokens {
			if strings.Contains(dump, token) {
				t.Errorf("the key %s has a token", key)
			}
		}
	}
}

func TestCheckMovesTheExpiryOfAnIdleSession(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	token, created := f.create(t, ann)
	key := f.sessionKey(token)
	expectWithin(t, "the TTL of a new session", f.client.PTTL(t.Context(), key).Val(), 24*time.Hour)
	f.client.PExpire(t.Context(), key, time.Minute)
	f.set(t, token, "last_seen", f.now(t).Add(-time.Minute))
	f.expectValid(t, token, created)
	expectWithin(t, "the TTL of a used session", f.client.PTTL(t.Context(), key).Val(), 24*time.Hour)

	f.client.PExpire(t.Context(), key, time.Millisecond)
	testenv.Eventually(t, "the session expires", func() bool { return f.client.Exists(t.Context(), key).Val() == 0 })
	_, err := f.Check(t.Context(), token)
	expectKind(t, err, apperr.Unauthenticated)
	if f.client.Exists(t.Context(), key).Val() != 0 {
		t.Error("the check made the session again")
	}
}

func TestCheckMovesTheExpiryAtMostOnceAMinuteUnlessItIsNear(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, test := range []struct{ idle, unused, ttl time.Duration }{
		{24 * time.Hour, 30 * time.Second, 24*time.Hour - 30*time.Second},
		{24 * time.Hour, time.Minute, 24 * time.Hour},
		{9 * time.Minute, 30 * time.Second, 9 * time.Minute},
	} {
		f.cfg.Idle = test.idle
		f.Store = f.replica(f.client)
		token, _ := f.create(t, ann)
		f.client.PExpire(t.Context(), f.sessionKey(token), test.idle-test.unused)
		f.set(t, token, "last_seen", f.now(t).Add(-test.unused))
		checked, err := f.Check(t.Context(), token)
		if err != nil {
			t.Fatal(err)
		}
		name := fmt.Sprintf("%v without use of %v: ", test.unused, test.idle)
		expectWithin(t, name+"the TTL", f.client.PTTL(t.Context(), f.sessionKey(token)).Val(), test.ttl)
		expectWithin(t, name+"the announced expiry", checked.ExpiresAt.Sub(f.now(t)), test.ttl)
	}
}

func TestCheckNeverMovesTheExpiryBeyondTheMaximalAge(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	token, created := f.create(t, ann)
	key := f.sessionKey(token)

	f.set(t, token, "last_seen", f.now(t).Add(-time.Minute))
	f.set(t, token, "created_at", f.now(t).Add(time.Hour-f.cfg.MaxAge))
	checked, err := f.Check(t.Context(), token)
	if err != nil || checked.ID != created.ID {
		t.Errorf("in its last hour: %+v, %v", checked, err)
	}
	expectWithin(t, "the TTL in the last hour", f.client.PTTL(t.Context(), key).Val(), time.Hour)
	expectWithin(t, "the announced expiry", checked.ExpiresAt.Sub(f.now(t)), time.Hour)

	f.set(t, token, "created_at", f.now(t).Add(-f.cfg.MaxAge))
	_, err = f.Check(t.Context(), token)
	expectKind(t, err, apperr.Unauthenticated)
	if f.client.Exists(t.Context(), key).Val() != 0 {
		t.Error("the session beyond its age is still stored")
	}
}

func TestShortMaximalAgeBoundsANewSession(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.cfg.MaxAge = time.Hour
	f.Store = f.replica(f.client)
	token, created := f.create(t, ann)
	expectWithin(t, "the TTL", f.client.PTTL(t.Context(), f.sessionKey(token)).Val(), time.Hour)
	expectWithin(t, "the announced expiry", created.ExpiresAt.Sub(created.CreatedAt), time.Hour)
}

func TestCheckWritesLastSeenOnceAMinute(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	token, _ := f.create(t, ann)
	for age, written := range map[time.Duration]bool{30 * time.Second: false, time.Minute: true, time.Hour: true} {
		before := f.now(t)
		seen := before.Add(-age)
		f.set(t, token, "last_seen", seen)
		checked, err := f.Check(t.Context(), token)
		if err != nil {
			t.Fatal(err)
		}
		if moved := !checked.LastSeen.Before(before.Truncate(time.Millisecond)); moved != written {
			t.Errorf("seen %v ago: last seen is %v after the check at %v", age, checked.LastSeen, before)
		}
		stored, err := f.client.HGet(t.Context(), f.sessionKey(token), "last_seen").Int64()
		if err != nil || stored != checked.LastSeen.UnixMilli() {
			t.Errorf("stored is %d, announced %d: %v", stored, checked.LastSeen.UnixMilli(), err)
		}
	}
}

func TestCheckRejectsWhatCannotBeASession(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	token, _ := f.create(t, ann)
	last := token[:42] + string("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[1+strings.IndexByte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", token[42])])
	for name, text := range map[string]string{
		"unknown": strings.Repeat("A", 43), "empty": "", "short": token[:42], "long": token + "A", "1 MB": strings.Repeat("A", 1<<20),
		"NUL": token[:42] + "\x00", "padded": token[:42] + "=", "not base64url": token[:42] + "+", "line breaks": token[:41] + "\r\n",
		"invalid UTF-8": token[:42] + "\xff", "bits beyond 256": last, "the hash": f.sessionKey(token), "a JWT": "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.",
	} {
		if _, err := f.Check(t.Context(), text); err == nil || apperr.Of(err).Kind != apperr.Unauthenticated ||
			apperr.Of(err).Message != "the request has no valid session; sign in" || strings.Contains(err.Error(), token[:20]) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestOldestSessionEndsBeyondFifty(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	bob := session.User{ID: 8}
	others, other := f.create(t, bob)
	tokens, sessions := make([]string, 51), make([]session.Session, 51)
	for i := range tokens {
		tokens[i], sessions[i] = f.create(t, ann)
		// Sessions of one millisecond have no order.
		f.client.ZAdd(t.Context(), f.listKey(ann), scored(f, tokens[i], i))
	}
	_, err := f.Check(t.Context(), tokens[0])
	expectKind(t, err, apperr.Unauthenticated)
	for i := 1; i < 51; i++ {
		f.expectValid(t, tokens[i], sessions[i])
	}
	f.expectValid(t, others, other)
	if n := f.client.ZCard(t.Context(), f.listKey(ann)).Val(); n != 50 {
		t.Errorf("%d are listed", n)
	}

	// Sessions that ended make room.
	f.client.Del(t.Context(), f.sessionKey(tokens[30]))
	_, _ = f.create(t, ann)
	f.expectValid(t, tokens[1], sessions[1])
}

func TestConcurrentSignInsLeaveFiftySessionsAndNoOther(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var signIns sync.WaitGroup
	for range 8 {
		signIns.Go(func() {
			for range 15 {
				if _, _, err := f.Create(t.Context(), ann); err != nil {
					t.Error(err)
				}
			}
		})
	}
	signIns.Wait()
	listed := f.client.ZRange(t.Context(), f.listKey(ann), 0, -1).Val()
	for i := range listed {
		listed[i] = f.cfg.KeyPrefix + "session:" + listed[i]
	}
	stored := f.client.Keys(t.Context(), f.cfg.KeyPrefix+"session:*").Val()
	slices.Sort(listed)
	slices.Sort(stored)
	if diff := cmp.Diff(listed, stored); diff != "" || len(stored) != 50 {
		t.Errorf("%d sessions (-listed +stored):\n%s", len(stored), diff)
	}
}

func TestListHasTheSessionsOfTheUserNewestFirstAndForgetsEndedOnes(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	if got, err := f.List(t.Context(), ann.ID); err != nil || len(got) != 0 {
		t.Errorf("before a sign-in: %v, %v", got, err)
	}
	_, _ = f.create(t, session.User{ID: 77, Role: "member"})
	var want []session.Session
	var tokens []string
	for i := range 4 {
		token, created := f.create(t, ann)
		f.client.ZAdd(t.Context(), f.listKey(ann), scored(f, token, i))
		tokens, want = append(tokens, token), append([]session.Session{created}, want...)
	}
	f.client.PExpire(t.Context(), f.sessionKey(tokens[3]), time.Hour)
	want[0].ExpiresAt = f.now(t).Add(time.Hour)
	f.client.Del(t.Context(), f.sessionKey(tokens[1]))
	want = slices.Delete(want, 2, 3)

	got, err := f.List(t.Context(), ann.ID)
	if err != nil {
		t.Fatal(err)
	}
	near := cmp.Options{cmpopts.IgnoreUnexported(session.Session{}), cmpopts.EquateApproxTime(slow)}
	if diff := cmp.Diff(want, got, near); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if n := f.client.ZCard(t.Context(), f.listKey(ann)).Val(); n != 3 {
		t.Errorf("%d are in the list, want 3", n)
	}
}

func TestRevokedSessionIsRefusedByEveryReplicaAtOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	other := f
	other.Store = f.replica(openClient(t, testenv.RequireEnv(t, "TEST_REDIS_ADDR")))
	bob := session.User{ID: 8}
	bobs, bobSession := f.create(t, bob)
	tokens, sessions := make([]string, 4), make([]session.Session, 4)
	for i := range tokens {
		tokens[i], sessions[i] = f.create(t, ann)
		other.expectValid(t, tokens[i], sessions[i])
	}
	expectEnded := func(tokens ...string) {
		t.Helper()
		for _, token := range tokens {
			_, err := other.Check(t.Context(), token)
			expectKind(t, err, apperr.Unauthenticated)
		}
	}

	expectKind(t, f.Revoke(t.Context(), ann.ID, bobSession.ID), apperr.NotFound)
	expectKind(t, f.Revoke(t.Context(), ann.ID, ""), apperr.NotFound)
	if err := f.Revoke(t.Context(), ann.ID, sessions[0].ID); err != nil {
		t.Fatal(err)
	}
	expectKind(t, f.Revoke(t.Context(), ann.ID, sessions[0].ID), apperr.NotFound)
	expectEnded(tokens[0])
	other.expectValid(t, tokens[1], sessions[1])

	for range 2 { // it is safe to repeat
		if err := f.RevokeAll(t.Context(), ann.ID, sessions[1].ID); err != nil {
			t.Fatal(err)
		}
	}
	expectEnded(tokens[2:]...)
	other.expectValid(t, tokens[1], sessions[1])

	if err := f.RevokeAll(t.Context(), ann.ID, ""); err != nil {
		t.Fatal(err)
	}
	expectEnded(tokens...)
	other.expectValid(t, bobs, bobSession)
	if n := f.client.Exists(t.Context(), f.listKey(ann)).Val(); n != 0 {
		t.Error("the empty list is still stored")
	}
}
