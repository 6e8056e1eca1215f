package session_test

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"example.com/todo/platform/apperr"
	"example.com/todo/platform/redis"
	"example.com/todo/platform/session"
	"example.com/todo/platform/testenv"
	"example.com/todo/platform/testenv/netproxy"
)

// scored returns the member of a token in the list of its user, as if its session was the
// i-th of all.
func scored(f fixture, token string, i int) goredis.Z {
	_, hash, _ := strings.Cut(f.sessionKey(token), "session:")
	return goredis.Z{Score: float64(i), Member: hash}
}

func TestKeysThatAnotherProgramOverwroteAreNoSessions(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ctx := t.Context()
	for name, overwrite := range map[string]func(key string){
		"another type":       func(key string) { f.client.Del(ctx, key); f.client.Set(ctx, key, "x", 0) },
		"no fields":          func(key string) { f.client.Del(ctx, key); f.client.HSet(ctx, key, "x", "y") },
		"no user":            func(key string) { f.client.HDel(ctx, key, "user_id") },
		"no id":              func(key string) { f.client.HDel(ctx, key, "id") },
		"no role":            func(key string) { f.client.HDel(ctx, key, "role") },
		"a user without id":  func(key string) { f.client.HSet(ctx, key, "user_id", "0") },
		"a user with a name": func(key string) { f.client.HSet(ctx, key, "user_id", "ann") },
		"no time":            func(key string) { f.client.HSet(ctx, key, "created_at", "today") },
	} {
		token, _ := f.create(t, ann)
		overwrite(f.sessionKey(token))
		if _, err := f.Check(ctx, token); err == nil || apperr.Of(err).Kind != apperr.Unauthenticated {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if got, err := f.List(ctx, ann.ID); err != nil || len(got) != 0 {
		t.Errorf("listed %v, %v", got, err)
	}
	if err := f.RevokeAll(ctx, ann.ID, ""); err != nil {
		t.Error(err)
	}

	f.client.Set(ctx, f.listKey(ann), "x", 0)
	expectKind(t, f.RevokeAll(ctx, ann.ID, ""), apperr.Unavailable) // it cannot know what to revoke
	token, created := f.create(t, ann)
	f.expectValid(t, token, created)
	if got, err := f.List(ctx, ann.ID); err != nil || len(got) != 1 {
		t.Errorf("listed %v, %v", got, err)
	}
}

func TestClusterRunsAllScripts(t *testing.T) {
	t.Parallel()
	// Also a cluster of one node refuses a script that uses keys of several slots.
	addr := testenv.StartRedis(t, "--cluster-enabled", "yes")
	node := openClient(t, addr)
	slots := make([]int, 16384)
	for i := range slots {
		slots[i] = i
	}
	if err := node.(*goredis.Client).ClusterAddSlots(t.Context(), slots...).Err(); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, "the cluster is up", func() bool {
		return strings.Contains(node.ClusterInfo(t.Context()).Val(), "cluster_state:ok")
	})
	f := newFixtureAt(t, addr+","+addr)
	if _, ok := f.client.(*goredis.ClusterClient); !ok {
		t.Fatalf("the client is a %T", f.client)
	}
	var tokens []string
	for range 52 {
		token, _ := f.create(t, ann)
		tokens = append(tokens, token)
	}
	listed, err := f.List(t.Context(), ann.ID)
	if err != nil || len(listed) != 50 {
		t.Errorf("listed %d: %v", len(listed), err)
	}
	newest := tokens[len(tokens)-1]
	checked, err := f.Check(t.Context(), newest)
	if err != nil {
		t.Error(err)
	}
	if err := f.RevokeAll(t.Context(), ann.ID, checked.ID); err != nil {
		t.Error(err)
	}
	f.expectValid(t, newest, checked)
	if err := f.Revoke(t.Context(), ann.ID, checked.ID); err != nil {
		t.Error(err)
	}
	_, err = f.Check(t.Context(), newest)
	expectKind(t, err, apperr.Unauthenticated)
}

func TestFullRedisKeepsSessionsAndRefusesNewOnes(t *testing.T) {
	t.Parallel()
	f := newFixtureAt(t, testenv.StartRedis(t, "--maxmemory-policy", "noeviction"))
	token, created := f.create(t, ann)
	f.set(t, token, "last_seen", f.now(t).Add(-time.Hour)) // so that a check writes it
	if err := f.client.ConfigSet(t.Context(), "maxmemory", "1").Err(); err != nil {
		t.Fatal(err)
	}
	f.expectValid(t, token, created)
	_, _, err := f.Create(t.Context(), ann)
	expectKind(t, err, apperr.Unavailable)
	if keys := f.client.Keys(t.Context(), "*").Val(); !slices.Equal(sorted(keys), sorted([]string{f.sessionKey(token), f.listKey(ann)})) {
		t.Errorf("keys after the refused sign-in: %q", keys)
	}
	if err := f.RevokeAll(t.Context(), ann.ID, ""); err != nil {
		t.Errorf("revoke: %v", err)
	}
	_, err = f.Check(t.Context(), token)
	expectKind(t, err, apperr.Unauthenticated)
}

func sorted(keys []string) []string {
	slices.Sort(keys)
	return keys
}

// unreachable returns a Store whose Redis can be made to fail, with the client's timeout of
// a service.
func unreachable(t *testing.T, f fixture) (*session.Store, *netproxy.Proxy) {
	t.Helper()
	proxy := testenv.StartProxy(t, testenv.RequireEnv(t, "TEST_REDIS_ADDR"))
	cfg := redis.ConsumerDefaults()
	cfg.Addr = proxy.Addr()
	client := redis.Open(cfg, "redis", nil)
	t.Cleanup(func() {
		proxy.SetMode(netproxy.Forward)
		_ = client.Close()
	})
	return session.NewStore(client, f.cfg), proxy
}

func TestStoreFailsClosedWhileRedisIsAwayAndServesAgainAfterwards(t *testing.T) {
	t.Parallel()
	for name, mode := range map[string]netproxy.Mode{"frozen": netproxy.Stall, "down": netproxy.Reject, "no replies": netproxy.DropResponses} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			token, created := f.create(t, ann)
			store, proxy := unreachable(t, f)
			testenv.Eventually(t, "the session is valid", func() bool {
				_, err := store.Check(t.Context(), token)
				return err == nil
			})
			proxy.SetMode(mode)
			_, err := store.Check(t.Context(), token)
			expectKind(t, err, apperr.Unavailable)
			_, err = store.List(t.Context(), ann.ID)
			expectKind(t, err, apperr.Unavailable)
			expectKind(t, store.Revoke(t.Context(), ann.ID, created.ID), apperr.Unavailable)
			expectKind(t, store.RevokeAll(t.Context(), ann.ID, created.ID), apperr.Unavailable)
			_, _, err = store.Create(t.Context(), session.User{ID: 9})
			expectKind(t, err, apperr.Unavailable)

			proxy.SetMode(netproxy.Forward)
			testenv.EventuallyWithin(t, 5*time.Second, "sessions are served again", func() bool {
				_, err := store.Check(t.Context(), token)
				return err == nil || apperr.Of(err).Kind == apperr.Unauthenticated // the revocation may have been executed late
			})
		})
	}
}

func TestFrozenRedisCostsACheckLessThan50ms(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	token, _ := f.create(t, ann)
	store, proxy := unreachable(t, f)
	_, _ = store.Check(t.Context(), token)
	proxy.SetMode(netproxy.Stall)
	var took []time.Duration
	for range 15 {
		began := time.Now()
		_, err := store.Check(t.Context(), token)
		took = append(took, time.Since(began))
		expectKind(t, err, apperr.Unavailable)
	}
	// The fastest: a busy machine delays others.
	if fastest := slices.Min(took); fastest > 50*time.Millisecond {
		t.Errorf("it took %v", took)
	}
}

func BenchmarkCheck(b *testing.B) {
	addr := testenv.RequireEnv(b, "TEST_REDIS_ADDR")
	client := goredis.NewClient(&goredis.Options{Addr: addr})
	defer client.Close()
	cfg := session.Defaults()
	cfg.KeyPrefix = "bench-" + strconv.Itoa(b.N) + ":"
	store := session.NewStore(client, cfg)
	token, _, err := store.Create(b.Context(), ann)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = store.RevokeAll(context.Background(), ann.ID, "") }()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := store.Check(b.Context(), token); err != nil {
			b.Fatal(err)
		}
	}
}
