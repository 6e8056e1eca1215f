package redisstore_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/todo/platform/apperr"
	"example.com/todo/platform/testenv"
	"example.com/todo/stats-service/internal/redisstore"
	"example.com/todo/stats-service/internal/stats"
)

// by returns the completion by a user.
func by(user string, c stats.Completion) stats.Completion {
	c.User = user
	return c
}

func (f fixture) expectUser(user string, total int64, days ...int64) {
	f.Helper()
	got, err := f.store.ReadUser(f.Context(), user, []string{day, nextDay}[:len(days)])
	if err != nil {
		f.Fatal(err)
	}
	if got.Total != total {
		f.Errorf("total %d of user %s, want %d", got.Total, user, total)
	}
	if diff := cmp.Diff(days, got.Days); diff != "" {
		f.Errorf("days of user %s (-want +got):\n%s", user, diff)
	}
}

// expectHash wants that hash of the user, with the current generation.
func (f fixture) expectHash(user string, want map[string]string) {
	f.Helper()
	want["generation"] = f.generation()
	if diff := cmp.Diff(want, f.client.HGetAll(f.Context(), f.prefix+"stats:user:"+user).Val()); diff != "" {
		f.Errorf("stats:user:%s (-want +got):\n%s", user, diff)
	}
}

func (f fixture) generation() string {
	f.Helper()
	return f.client.HGet(f.Context(), f.prefix+"stats:offsets", "generation").Val()
}

// settle runs a settler until done.
func (f fixture) settle(done func() bool) {
	f.Helper()
	ctx, cancel := context.WithCancel(f.Context())
	ended := make(chan error)
	go func() { ended <- redisstore.NewSettler(f.store, slog.New(slog.DiscardHandler)).Run(ctx) }()
	testenv.Eventually(f.T, "the settled hashes", done)
	cancel()
	if err := <-ended; err != nil {
		f.Error(err)
	}
}

func (f fixture) has(key string) bool { return f.client.Exists(f.Context(), f.prefix+key).Val() == 1 }

func TestApplyCountsForTheUserToo(t *testing.T) {
	t.Parallel()
	f := openStore(t)
	f.expectUser("7", 0, 0, 0) // before anything is counted
	f.resume(0, 0, 9, fresh)
	f.apply(0, 0, 6, stats.Tally{Counted: 5, Duplicates: 1},
		by("7", completion("a", 0)), by("7", completion("a", 1)), by("8", completion("b", 2)),
		completion("c", 3), by("7", onDay(nextDay, completion("d", 4))), by("-1", completion("e", 5)))
	f.apply(0, 6, 8, stats.Tally{Counted: 1, Duplicates: 1}, by("7", completion("f", 6)), by("8", completion("b", 7)))
	f.expectCounts(6, 5, 1)
	f.expectHash("7", map[string]string{"completed": "3", day: "2", nextDay: "1"})
	f.expectHash("8", map[string]string{"completed": "1", day: "1"})
	f.expectUser("7", 3, 2, 1)
	f.expectUser("8", 1, 1, 0)
	f.expectUser("-1", 1, 1)
	f.expectUser("9", 0, 0, 0)
	if keys := f.keys("stats:user:*"); len(keys) != 3 {
		t.Errorf("the hashes %v, want three", keys)
	}
	if ttl := f.client.TTL(t.Context(), f.prefix+"stats:user:7").Val(); ttl != -1 {
		t.Errorf("a TTL of %v, want none", ttl)
	}
	got, err := f.store.ReadUser(t.Context(), "7", nil)
	want := stats.Counters{Total: 3, Days: []int64{}, Offsets: map[int32]int64{0: 8}, Targets: map[int32]int64{0: 9}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestRejectedBatchCountsForNoUser(t *testing.T) {
	t.Parallel()
	f := openStore(t)
	f.resume(0, 0, 9, fresh)
	zombie := redisstore.New(f.client, f.prefix)
	f.apply(0, 0, 2, stats.Tally{Counted: 1}, by("7", completion("a", 1)))
	f.expectMismatch(0, 0, 2, by("7", completion("a", 1)))
	_, err := zombie.Apply(t.Context(), stats.Batch{From: 0, Next: 1, Completions: []stats.Completion{by("7", completion("z", 0))}})
	if !errors.Is(err, stats.ErrOffsetMismatch) {
		t.Errorf("the zombie: %v, want ErrOffsetMismatch", err)
	}
	f.expectUser("7", 1, 1)
}

func TestRecountIgnoresAndRemovesTheHashesOfTheCountBefore(t *testing.T) {
	t.Parallel()
	for name, restart := range map[string]func(f fixture){
		"another log": func(f fixture) {
			f.reset(0, stats.LogRange{Newest: 2}, 4, stats.ResumePoint{Recount: stats.OutsideLog, Stored: 4})
		},
		"a lost total": func(f fixture) {
			f.client.Del(f.Context(), f.prefix+"stats:tasks:completed")
			f.resume(0, 0, 2, stats.ResumePoint{Recount: stats.Inconsistent})
		},
		"two in a row": func(f fixture) {
			f.reset(0, stats.LogRange{Newest: 2}, 4, stats.ResumePoint{Recount: stats.OutsideLog, Stored: 4})
			f.apply(0, 0, 2, stats.Tally{Counted: 1}, by("10", completion("b", 1)))
			f.reset(0, stats.LogRange{Newest: 2}, 2, stats.ResumePoint{Recount: stats.OutsideLog, Stored: 2})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := openStore(t)
			f.resume(0, 0, 9, fresh)
			f.apply(0, 0, 4, stats.Tally{Counted: 3}, by("7", completion("a", 0)), by("8", completion("b", 1)), by("7", completion("c", 3)))
			restart(f)
			f.expectUser("7", 0, 0)
			f.expectUser("8", 0, 0)
			f.apply(0, 0, 2, stats.Tally{Counted: 1}, by("7", completion("a", 1)))
			f.expectUser("7", 1, 1)
			f.settle(func() bool { return !f.has("stats:users:retired") })
			f.expectHash("7", map[string]string{"completed": "1", day: "1"})
			if keys := f.keys("stats:user*"); len(keys) != 2 { // one hash, and the set of users
				t.Errorf("the keys %v", keys)
			}
		})
	}
}

func TestSwapReplacesTheCountersOfTheUsers(t *testing.T) {
	t.Parallel()
	f := openStore(t)
	f.resume(0, 0, 9, fresh)
	f.apply(0, 0, 4, stats.Tally{Counted: 3}, by("7", completion("a", 0)), by("7", completion("wrong", 1)), by("gone", completion("b", 3)))
	shadow, rebuild := f.newShadow()
	rebuild.resume(0, 0, 0, fresh)
	rebuild.apply(0, 0, 4, stats.Tally{Counted: 3}, by("7", completion("a", 0)), by("8", completion("b", 3)), by("10", completion("c", 3)))
	f.expectUser("7", 2, 2) // unchanged before the swap
	f.expectUser("8", 0, 0)
	other := redisstore.New(f.client, f.prefix) // does not know the generation of the swap
	if _, err := other.ReadUser(t.Context(), "7", nil); err != nil {
		t.Fatal(err)
	}
	f.swap(shadow, stats.SwapResult{Before: 3, After: 3})

	expect := func(store *redisstore.Store) {
		t.Helper()
		read := f
		read.store = store
		read.expectUser("7", 1, 1)
		read.expectUser("8", 1, 1)
		read.expectUser("10", 1, 1)
		read.expectUser("gone", 0, 0)
	}
	expect(f.store)
	expect(other)
	f.apply(0, 4, 6, stats.Tally{Counted: 2}, by("8", completion("d", 4)), by("9", onDay(nextDay, completion("e", 5))))
	f.expectHash("8", map[string]string{"completed": "2", day: "2"})
	f.apply(0, 6, 7, stats.Tally{Duplicates: 1}, by("10", completion("c", 6)))
	f.expectUser("10", 1, 1)
	f.settle(func() bool { return !f.has("stats:users:retired") && len(f.keys("stats:rebuild:*:stats:user*")) == 0 })
	f.expectHash("7", map[string]string{"completed": "1", day: "1"})
	f.expectHash("8", map[string]string{"completed": "2", day: "2"})
	f.expectHash("9", map[string]string{"completed": "1", nextDay: "1"})
	f.expectHash("10", map[string]string{"completed": "1", day: "1"})
	if f.has("stats:user:gone") {
		t.Error("the hash of a user without completions is left")
	}
	for _, key := range append(f.keys("stats:user:*"), f.keys("stats:users")...) {
		if ttl := f.client.TTL(t.Context(), key).Val(); ttl != -1 {
			t.Errorf("%s has a TTL of %v, want none", key, ttl)
		}
	}
	f.apply(0, 7, 8, stats.Tally{Counted: 1}, by("7", completion("f", 7)))
	f.expectUser("7", 2, 2)
}

// A second rebuild may end before the hashes of the first are settled.
func TestSwapAfterASwapThatIsNotSettled(t *testing.T) {
	t.Parallel()
	f := openStore(t)
	f.resume(0, 0, 9, fresh)
	f.apply(0, 0, 2, stats.Tally{Counted: 1}, by("1", completion("a", 0)))
	rebuildFor := func(user string) {
		t.Helper()
		shadow, rebuild := f.newShadow()
		rebuild.resume(0, 0, 0, fresh)
		rebuild.apply(0, 0, 2, stats.Tally{Counted: 1}, by(user, completion("a", 0)))
		if _, err := shadow.Swap(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		f.expectUser(user, 1, 1)
	}
	rebuildFor("2")
	f.apply(0, 2, 2, stats.Tally{Counted: 1}, by("4", completion("only in the first", 1)))
	rebuildFor("3")
	f.expectUser("2", 0, 0)
	f.expectUser("4", 0, 0)
	f.apply(0, 2, 3, stats.Tally{Counted: 1}, by("2", completion("b", 2)))
	f.settle(func() bool { return !f.has("stats:users:retired") && f.has("stats:user:3") })
	f.expectUser("1", 0, 0)
	f.expectHash("2", map[string]string{"completed": "1", day: "1"})
	f.expectHash("3", map[string]string{"completed": "1", day: "1"})
	if f.has("stats:user:1") || f.has("stats:user:4") {
		t.Error("a hash of an earlier count is left")
	}
}

// The hash of a user is lost when it expires before it is settled, or is removed.
func TestSettlerStartsARecountWhenTheCountersOfAUserAreWrong(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(f fixture, hash string){
		"lost":                     func(f fixture, hash string) { f.client.Del(f.Context(), hash) },
		"of another type":          func(f fixture, hash string) { f.overwrite(hash[len(f.prefix):], "list") },
		"a day is lost":            func(f fixture, hash string) { f.client.HDel(f.Context(), hash, day) },
		"the total is lost":        func(f fixture, hash string) { f.client.HDel(f.Context(), hash, "completed") },
		"a day is no number":       func(f fixture, hash string) { f.client.HSet(f.Context(), hash, day, "x") },
		"the users are no set":     func(f fixture, _ string) { f.overwrite("stats:users", "hash") },
		"lost before it was moved": nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := openStore(t)
			log := []stats.Completion{by("7", completion("a", 0)), by("8", completion("b", 1))}
			f.countLog(log)
			if damage == nil {
				shadow, rebuild := f.newShadow()
				rebuild.countLog(log)
				f.swap(shadow, stats.SwapResult{Before: 2, After: 2})
				f.client.Del(t.Context(), f.keys("stats:rebuild:*:stats:user:7")...)
			} else {
				damage(f, f.prefix+"stats:user:7")
			}
			f.settle(func() bool { return f.generation() == "" })
			if _, err := f.store.ReadUser(t.Context(), "7", []string{day}); apperr.Of(err) == nil || apperr.Of(err).Kind != apperr.Unavailable {
				t.Errorf("before the recount: %v, want apperr.Unavailable", err)
			}
			f.countLog(log)
			f.expectUser("7", 1, 1)
			f.expectUser("8", 1, 1)
			f.expectCounts(2, 2)
		})
	}
}

func TestApplyReturnsAMismatchWhenACountOfAUserIsNoNumber(t *testing.T) {
	t.Parallel()
	for _, field := range []string{"completed", day} {
		f := openStore(t)
		log := []stats.Completion{by("7", completion("a", 0)), by("7", completion("b", 1))}
		f.countLog(log[:1])
		f.client.HSet(t.Context(), f.prefix+"stats:user:7", field, "x")
		f.expectMismatch(0, 1, 2, log[1])
		f.resume(0, 0, 2, stats.ResumePoint{Recount: stats.Inconsistent})
		f.countLog(log)
		f.expectUser("7", 2, 2)
	}
}

// A settler that was frozen must not remove the hashes of the counters that replaced its own.
func TestSettlerOfAnEarlierGenerationChangesNothing(t *testing.T) {
	t.Parallel()
	f := openStore(t)
	f.countLog([]stats.Completion{by("7", completion("a", 0))})
	if current, err := f.store.SettleBatch(t.Context(), "earlier", []string{"7"}); current || err != nil {
		t.Errorf("%t, %v; want false", current, err)
	}
	f.expectHash("7", map[string]string{"completed": "1", day: "1"})
}

func TestSettlerRemovesARetiredSetThatWasOverwritten(t *testing.T) {
	t.Parallel()
	f := openStore(t)
	f.countLog([]stats.Completion{by("7", completion("a", 0))})
	f.overwrite("stats:users:retired", "list")
	f.settle(func() bool { return !f.has("stats:users:retired") })
	f.expectUser("7", 1, 1)
}

func TestReadStartsARecountWhenTheCountersOfAUserAreWrong(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(f fixture){
		"the hash is lost":   func(f fixture) { f.client.Del(f.Context(), f.prefix+"stats:user:7") },
		"a day is no number": func(f fixture) { f.client.HSet(f.Context(), f.prefix+"stats:user:7", day, "x") },
		"the users are lost": func(f fixture) { f.client.Del(f.Context(), f.prefix+"stats:users") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := openStore(t)
			log := []stats.Completion{by("7", completion("a", 0)), by("8", completion("b", 1))}
			f.countLog(log)
			damage(f)
			if _, err := f.store.ReadUser(t.Context(), "7", []string{day}); apperr.Of(err) == nil || apperr.Of(err).Kind != apperr.Unavailable {
				t.Errorf("got %v, want apperr.Unavailable", err)
			}
			f.resume(0, 0, 2, stats.ResumePoint{Recount: stats.Inconsistent})
			f.countLog(log)
			f.expectUser("7", 1, 1)
		})
	}
}

func TestShadowHashesExpireUnlessTheyAreSwappedIn(t *testing.T) {
	t.Parallel()
	f := openStore(t)
	_, rebuild := f.newShadow()
	rebuild.resume(0, 0, 0, fresh)
	rebuild.apply(0, 0, 4, stats.Tally{Counted: 1}, by("7", completion("a", 0)))
	keys := f.keys("stats:rebuild:*:stats:user*")
	if len(keys) != 2 {
		t.Errorf("the keys %v, want a hash and the set of users", keys)
	}
	for _, key := range keys {
		if ttl := f.client.TTL(t.Context(), key).Val(); ttl != 24*time.Hour {
			t.Errorf("%s has a TTL of %v, want 24 h", key, ttl)
		}
	}
}
