package redisstore_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/todo/platform/testenv"
	"example.com/todo/todo-service/internal/redisstore"
	"example.com/todo/todo-service/internal/task"
)

func invalidate(t *testing.T, cache *redisstore.ListCache, eventID string) {
	t.Helper()
	if err := cache.Invalidate(t.Context(), 0, eventID); err != nil {
		t.Fatal(err)
	}
}

func heal(t *testing.T, cache *redisstore.ListCache, eventIDs ...string) {
	t.Helper()
	if err := cache.Heal(t.Context(), events(0, eventIDs...)); err != nil {
		t.Fatal(err)
	}
}

func events(owner task.Owner, ids ...string) (events []redisstore.CommittedEvent) {
	for _, id := range ids {
		events = append(events, redisstore.CommittedEvent{ID: id, Owner: owner})
	}
	return events
}

func TestHealInvalidatesOnlyForUnconfirmedEvents(t *testing.T) {
	t.Parallel()
	remove := func(s *testRedis, key string) { s.Del(context.Background(), s.prefix+key) }
	for name, tt := range map[string]struct {
		before func(t *testing.T, s *testRedis, writer, other *redisstore.ListCache)
		hit    bool // whether the list that was stored after the writes is still there
	}{
		"all confirmed": {func(t *testing.T, _ *testRedis, writer, _ *redisstore.ListCache) {
			invalidate(t, writer, "e1")
			invalidate(t, writer, "e2")
		}, true},
		"all confirmed, by several replicas": {func(t *testing.T, _ *testRedis, writer, other *redisstore.ListCache) {
			invalidate(t, other, "e2")
			invalidate(t, writer, "e1")
		}, true},
		"one of them not": {func(t *testing.T, _ *testRedis, writer, _ *redisstore.ListCache) {
			invalidate(t, writer, "e1")
			invalidate(t, writer, "")
		}, false},
		"Redis refused one": {func(t *testing.T, s *testRedis, writer, _ *redisstore.ListCache) {
			invalidate(t, writer, "e1")
			s.network.down.Store(true)
			if err := writer.Invalidate(t.Context(), 0, "e2"); err == nil {
				t.Error("an invalidation succeeded without Redis")
			}
			s.network.down.Store(false)
		}, false},
		"the confirmations were evicted": {func(t *testing.T, s *testRedis, writer, _ *redisstore.ListCache) {
			invalidate(t, writer, "e1")
			invalidate(t, writer, "e2")
			remove(s, list+":confirmed")
		}, false},
		"the confirmations are of another type": {func(t *testing.T, s *testRedis, writer, _ *redisstore.ListCache) {
			invalidate(t, writer, "e1")
			invalidate(t, writer, "e2")
			remove(s, list+":confirmed")
			s.LPush(t.Context(), s.prefix+list+":confirmed", "e1", "e2")
		}, false},
		"they were of another type before": {func(t *testing.T, s *testRedis, writer, _ *redisstore.ListCache) {
			s.HSet(t.Context(), s.prefix+list+":confirmed", "e1", "e2")
			invalidate(t, writer, "e1")
			invalidate(t, writer, "e2")
		}, true},
		"the events come again": {func(t *testing.T, _ *testRedis, writer, _ *redisstore.ListCache) {
			invalidate(t, writer, "e1")
			invalidate(t, writer, "e2")
			heal(t, writer, "e1", "e2")
		}, false},
		"a previous version confirmed them": {func(t *testing.T, s *testRedis, _, _ *redisstore.ListCache) {
			s.Del(t.Context(), s.prefix+list, s.prefix+list+":beside")
			s.Set(t.Context(), s.prefix+list+":generation", "a text never used before", 0)
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, cache := openCache(t)
			loadScripts(t, cache)
			other := redisstore.NewListCache(s.replica(), s.prefix, s.log(), nil)
			tt.before(t, s, cache, other)
			d := &fakeDatabase{body: `["new"]`}
			testenv.Eventually(t, "the list is cached", func() bool { return load(t, other, d).Hit })
			trips := s.network.roundTrips.Load()
			heal(t, other, "e1", "e2")
			if trips = s.network.roundTrips.Load() - trips; trips != 1 {
				t.Errorf("it took %d round trips, want 1", trips)
			}
			expectLoad(t, other, d, tt.hit)
			if left := s.Exists(t.Context(), s.prefix+list+":confirmed").Val(); left != 0 && name != "the confirmations are of another type" {
				t.Errorf("there are still confirmations: %v", s.SMembers(t.Context(), s.prefix+list+":confirmed").Val())
			}
		})
	}
}

// A process whose invalidation failed does not read the cache, although the events of
// the live pass are confirmed.
func TestHealOfConfirmedEventsRecoversNoFailedInvalidation(t *testing.T) {
	t.Parallel()
	s, cache := openCache(t)
	loadScripts(t, cache)
	writer := redisstore.NewListCache(s.replica(), s.prefix, s.log(), nil)
	invalidate(t, writer, "e1")
	testenv.Eventually(t, "the list is cached", func() bool { return load(t, writer, &fakeDatabase{body: `["old"]`}).Hit })
	s.network.down.Store(true)
	if err := cache.Invalidate(t.Context(), 0, "e2"); err == nil {
		t.Error("an invalidation succeeded without Redis")
	}
	s.network.down.Store(false)
	testenv.Eventually(t, "Heal reaches Redis", func() bool { return cache.Heal(t.Context(), events(0, "e1")) == nil })
	expectLoad(t, cache, &fakeDatabase{body: `["new"]`}, false)
}

func TestHealHandlesMoreEventsThanOneRedisCommandTakes(t *testing.T) {
	t.Parallel()
	s, cache := openCache(t)
	loadScripts(t, cache)
	const count = 2_500 // more than one command of the script takes
	_, release := holdReplies(s)
	defer release()
	var ids []string
	for i := range count {
		ids = append(ids, fmt.Sprintf("0198c0de-0000-7000-8000-%012d", i))
	}
	done := make(chan error, count)
	for _, id := range ids {
		go func() { done <- cache.Invalidate(t.Context(), 0, id) }()
	}
	release()
	for range count {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	// With too many writers at once, some ids are dropped, and Heal invalidates for them.
	confirmed := s.SCard(t.Context(), s.prefix+list+":confirmed").Val()
	if confirmed == 0 || confirmed > count {
		t.Errorf("%d of %d events are confirmed", confirmed, count)
	}
	heal(t, cache, ids...)
	if left := s.SCard(t.Context(), s.prefix+list+":confirmed").Val(); left != 0 {
		t.Errorf("%d confirmations are left", left)
	}
}

func TestInvalidateBoundsTheConfirmationsInRedis(t *testing.T) {
	t.Parallel()
	s, cache := openCache(t)
	key, ctx := s.prefix+list+":confirmed", t.Context()
	invalidate(t, cache, "e0")
	if ttl := s.TTL(ctx, key).Val(); ttl <= 290*time.Second || ttl > 300*time.Second {
		t.Errorf("their TTL is %v, want 300 s", ttl)
	}
	ids := make([]any, 0, 10_000)
	for i := range cap(ids) {
		ids = append(ids, i)
	}
	if err := s.SAdd(ctx, key, ids...).Err(); err != nil {
		t.Fatal(err)
	}
	invalidate(t, cache, "e1")
	if got := s.SMembers(ctx, key).Val(); len(got) != 1 || got[0] != "e1" {
		t.Errorf("%d confirmations are kept, want only the last", len(got))
	}
}

// A writer that Redis does not answer leaves its event to the live pass.
func TestInvalidateBoundsTheEventsThatWaitForRedis(t *testing.T) {
	t.Parallel()
	s, cache := openCache(t)
	loadScripts(t, cache)
	s.network.down.Store(true)
	for range 3_000 {
		if err := cache.Invalidate(t.Context(), 0, strings.Repeat("x", 36)); err == nil {
			t.Fatal("an invalidation succeeded without Redis")
		}
	}
	if got := cache.Committed(); got > 1_000 {
		t.Errorf("%d events wait", got)
	}
}

// The snapshot has the list from before the write, and no confirmation of the write.
func TestHealInvalidatesAfterRedisLostAConfirmedInvalidation(t *testing.T) {
	t.Parallel()
	addr, dir := testenv.FreeAddr(t), t.TempDir()
	before := startRedisWithData(t, dir, addr)
	s := open(t, addr)
	s.pipeline.ExtendTimeout()
	cache := redisstore.NewListCache(s.pipeline, s.prefix, s.log(), s.reg)
	loadScripts(t, cache)
	invalidate(t, cache, "earlier")
	expectLoad(t, cache, &fakeDatabase{body: `["old"]`}, false)
	if err := s.Save(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	invalidate(t, cache, "e1")
	before.kill()
	startRedisWithData(t, dir, addr)
	testenv.Eventually(t, "Redis has loaded the snapshot", func() bool { return s.Ping(t.Context()).Err() == nil })
	if restored := s.Get(t.Context(), s.prefix+list).Val(); restored != `["old"]` {
		t.Fatalf("Redis came back with %q, want what the snapshot had", restored)
	}
	// Heal fails until the circuit breaker has closed; the live pass repeats it.
	testenv.Eventually(t, "healed", func() bool { return cache.Heal(t.Context(), events(0, "earlier", "e1")) == nil })
	if left := s.Exists(t.Context(), s.prefix+list).Val(); left != 0 {
		t.Error("the list from before the write is still there")
	}
}

func TestHealInvalidatesTheListsOfTheUsersOfUnconfirmedEvents(t *testing.T) {
	t.Parallel()
	s, cache := openCache(t)
	all := []task.Owner{7, 8, 9, 0}
	fillUsers(t, cache, all...)
	for _, user := range all {
		invalidateUser(t, cache, user, fmt.Sprint("e", user))
	}
	expectHeal := func(when string, batch []redisstore.CommittedEvent, invalidated ...task.Owner) {
		t.Helper()
		databases := fillUsers(t, cache, all...)
		trips := s.network.roundTrips.Load()
		if err := cache.Heal(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
		if trips = s.network.roundTrips.Load() - trips; trips > 2 { // both kinds of events usually share one
			t.Errorf("%s: it took %d round trips", when, trips)
		}
		for user, d := range databases {
			expectUserLoad(t, cache, user, d, !slices.Contains(invalidated, user))
		}
	}
	confirmed := slices.Concat(events(7, "e7"), events(0, "e0"), events(8, "e8"))
	expectHeal("all confirmed", confirmed)
	expectHeal("the events come again", confirmed, 7, 8, 0)
	expectHeal("one user's event is not confirmed", slices.Concat(events(8, "lost"), events(9, "e9")), 8, 9)
	if left := s.Exists(t.Context(), s.prefix+list+":users:confirmed").Val(); left != 0 {
		t.Error("there are still confirmations")
	}
}

func TestHealHandlesEventsOfManyUsers(t *testing.T) {
	t.Parallel()
	s, cache := openCache(t)
	const users = 3_000 // more keys than one command of the script takes
	fillUsers(t, cache, 1, users)
	var batch []redisstore.CommittedEvent
	for user := range task.Owner(users) {
		batch = append(batch, events(user+1, fmt.Sprint("e", user+1))...)
	}
	if err := cache.Heal(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	for _, user := range []task.Owner{1, users} {
		if s.Exists(t.Context(), s.prefix+listKey(user)).Val() != 0 {
			t.Errorf("the list of user %d is still there", user)
		}
	}
}

func TestInvalidateBoundsTheConfirmationsOfUsersInRedis(t *testing.T) {
	t.Parallel()
	s, cache := openCache(t)
	key, ctx := s.prefix+list+":users:confirmed", t.Context()
	invalidateUser(t, cache, 7, "e0")
	if ttl := s.TTL(ctx, key).Val(); ttl <= 290*time.Second || ttl > 300*time.Second {
		t.Errorf("their TTL is %v, want 300 s", ttl)
	}
	ids := make([]any, 0, 10_000)
	for i := range cap(ids) {
		ids = append(ids, i)
	}
	if err := s.SAdd(ctx, key, ids...).Err(); err != nil {
		t.Fatal(err)
	}
	invalidateUser(t, cache, 8, "e1")
	if got := s.SMembers(ctx, key).Val(); len(got) != 1 || got[0] != "e1" {
		t.Errorf("%d confirmations are kept, want only the last", len(got))
	}
}
