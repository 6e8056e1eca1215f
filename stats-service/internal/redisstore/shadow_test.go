package redisstore_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/todo/stats-service/internal/redisstore"
	"example.com/todo/stats-service/internal/stats"
)

// newShadow takes the rebuild lock and returns its shadow, and a fixture of its store.
func (f fixture) newShadow() (*redisstore.Shadow, fixture) {
	f.Helper()
	if err := f.client.Set(f.Context(), f.store.RebuildLockKey(), "token", time.Minute).Err(); err != nil {
		f.Fatal(err)
	}
	shadow := f.store.NewShadow("token")
	rebuild := f
	rebuild.store = shadow.Store()
	return shadow, rebuild
}

func (f fixture) swap(shadow *redisstore.Shadow, want stats.SwapResult) {
	f.Helper()
	got, err := shadow.Swap(f.Context(), nil)
	if err != nil {
		f.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		f.Errorf("swap (-want +got):\n%s", diff)
	}
}

func (f fixture) keys(pattern string) (keys []string) {
	f.Helper()
	keys, err := f.client.Keys(f.Context(), f.prefix+pattern).Result()
	if err != nil {
		f.Fatal(err)
	}
	return keys
}

// onDay returns the completion on another day.
func onDay(day string, c stats.Completion) stats.Completion {
	c.Day = day
	return c
}

func TestSwapReplacesTheLiveCounters(t *testing.T) {
	t.Parallel()
	f := openStore(t)
	f.resume(0, 0, 9, fresh)
	f.apply(0, 0, 4, stats.Tally{Counted: 3}, completion("a", 0), completion("wrong", 1), onDay(nextDay, completion("b", 3)))
	shadow, rebuild := f.newShadow()
	rebuild.resume(0, 0, 0, fresh)
	rebuild.apply(0, 0, 4, stats.Tally{Counted: 2}, onDay("2024-01-14", completion("a", 0)), onDay(nextDay, completion("b", 3)))
	f.expectCounts(3, 2, 1) // unchanged before the swap

	f.swap(shadow, stats.SwapResult{Before: 3, After: 2, Days: []stats.DayChange{{Day: "2024-01-14", After: 1}, {Day: day, Before: 2}}})
	f.expectCounts(2, 0, 1)
	f.resume(0, 0, 9, stats.ResumePoint{Offset: 4})
	f.apply(0, 4, 6, stats.Tally{Counted: 1}, completion("c", 5))
	f.expectCounts(3, 1, 1)
	got, err := f.store.Read(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := map[int32]int64{0: 9}; !cmp.Equal(want, got.Targets) || !got.Rebuilding {
		t.Errorf("targets %v, rebuilding %t", got.Targets, got.Rebuilding)
	}
	f.swap(shadow, stats.SwapResult{Unknown: true}) // a repeated swap changes nothing
	f.expectCounts(3, 1, 1)
}

func TestDedupKeysOfARebuildCountOnlyAfterTheSwap(t *testing.T) {
	t.Parallel()
	f := openStore(t)
	f.resume(0, 0, 9, fresh)
	f.resume(1, 0, 9, fresh)
	f.apply(0, 0, 2, stats.Tally{Counted: 1}, completion("counted live", 1))
	shadow, rebuild := f.newShadow()
	rebuild.resume(0, 0, 0, fresh)
	rebuild.resume(1, 0, 0, fresh)
	rebuild.apply(0, 0, 2, stats.Tally{Counted: 2, Duplicates: 1},
		completion("counted live", 1), completion("live key expired", 0), completion("live key expired", 1))

	f.apply(1, 0, 1, stats.Tally{Counted: 1}, completion("live key expired", 0)) // a duplicate only in the shadow
	rebuild.apply(1, 0, 1, stats.Tally{Duplicates: 1}, completion("live key expired", 0))
	f.swap(shadow, stats.SwapResult{Before: 2, After: 2})

	other := redisstore.New(f.client, f.prefix) // does not know the generation of the swap
	for i, store := range []*redisstore.Store{f.store, other} {
		f.store = store
		from := int64(1 + 3*i)
		f.apply(1, from, from+3, stats.Tally{Duplicates: 2}, completion("counted live", from), completion("live key expired", from+1))
	}
	f.expectCounts(2, 2)
}

func TestRecountIgnoresTheDedupKeysOfAnEarlierRebuild(t *testing.T) {
	t.Parallel()
	f := openStore(t)
	f.resume(0, 0, 4, fresh)
	shadow, rebuild := f.newShadow()
	rebuild.resume(0, 0, 0, fresh)
	rebuild.apply(0, 0, 4, stats.Tally{Counted: 1}, completion("a", 3))
	f.swap(shadow, stats.SwapResult{After: 1, Days: []stats.DayChange{{Day: day, After: 1}}})
	f.reset(0, stats.LogRange{Newest: 2}, 4, stats.ResumePoint{Recount: stats.OutsideLog, Stored: 4})
	f.apply(0, 0, 2, stats.Tally{Counted: 1, Duplicates: 1}, completion("a", 0), completion("a", 1))
	f.expectCounts(1, 1)
}

func TestSwapChangesNothingWhenItsConditionsDoNotHold(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		before func(f fixture, shadow string)
		want   error
	}{
		"a live offset is ahead":               {func(f fixture, _ string) { f.apply(0, 2, 3, stats.Tally{}) }, stats.ErrLiveAhead},
		"a partition is missing in the shadow": {func(f fixture, _ string) { f.resume(1, 0, 0, fresh) }, stats.ErrLiveAhead},
		"the lock was removed":                 {func(f fixture, _ string) { f.client.Del(f.Context(), f.store.RebuildLockKey()) }, stats.ErrLockLost},
		"the lock has another token": {func(f fixture, _ string) {
			f.client.Set(f.Context(), f.store.RebuildLockKey(), "another", time.Minute)
		}, stats.ErrLockLost},
		"a day of the shadow was removed":     {func(f fixture, shadow string) { f.client.Del(f.Context(), shadow+"stats:tasks:"+day) }, stats.ErrOffsetMismatch},
		"its total was removed":               {func(f fixture, shadow string) { f.client.Del(f.Context(), shadow+"stats:tasks:completed") }, stats.ErrOffsetMismatch},
		"its offsets were removed":            {func(f fixture, shadow string) { f.client.Del(f.Context(), shadow+"stats:offsets") }, stats.ErrOffsetMismatch},
		"its set of days was removed":         {func(f fixture, shadow string) { f.client.Del(f.Context(), shadow+"stats:days") }, stats.ErrOffsetMismatch},
		"its set of users was overwritten":    {func(f fixture, shadow string) { f.client.Set(f.Context(), shadow+"stats:users", "x", 0) }, stats.ErrOffsetMismatch},
		"all keys of the shadow were removed": {func(f fixture, _ string) { f.client.Del(f.Context(), f.keys("stats:rebuild:*")...) }, stats.ErrOffsetMismatch},
		"the shadow has another generation": {func(f fixture, shadow string) {
			f.client.HSet(f.Context(), shadow+"stats:offsets", "generation", "other")
		}, stats.ErrOffsetMismatch},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := openStore(t)
			f.resume(0, 0, 9, fresh)
			f.apply(0, 0, 2, stats.Tally{Counted: 1}, completion("a", 0))
			shadow, rebuild := f.newShadow()
			rebuild.resume(0, 0, 0, fresh)
			rebuild.apply(0, 0, 2, stats.Tally{Counted: 2}, completion("a", 0), completion("b", 1))
			prefix, _, _ := strings.Cut(f.keys("stats:rebuild:*:stats:offsets")[0], "stats:offsets")
			test.before(f, prefix)
			if _, err := shadow.Swap(t.Context(), nil); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
			f.expectCounts(1, 1)
		})
	}
}

func TestApplyWaitsDuringAPauseAndLosesNothing(t *testing.T) {
	t.Parallel()
	f := openStore(t)
	f.resume(0, 0, 9, fresh)
	f.resume(3, 0, 9, fresh)
	f.apply(3, 0, 7, stats.Tally{})
	shadow, rebuild := f.newShadow()
	live, err := shadow.LivePositions(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[int32]stats.Position{0: {}, 3: {Offset: 7}}, live); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var waiting sync.WaitGroup
	began := make(chan struct{})
	waiting.Go(func() {
		close(began)
		f.apply(0, 0, 2, stats.Tally{Counted: 1}, completion("a", 0))
	})
	<-began
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = f.store.Apply(ctx, stats.Batch{Partition: 3, From: 7, Next: 8})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("during the pause Apply returned %v, want the end of its context", err)
	}
	for partition, position := range live {
		rebuild.resume(partition, position.Offset, position.Offset, stats.ResumePoint{Offset: position.Offset, Recount: stats.NothingKnown})
	}
	f.swap(shadow, stats.SwapResult{})
	if keys := f.keys("stats:hold"); len(keys) != 0 {
		t.Error("paused after the swap")
	}
	waiting.Wait()
	f.expectCounts(1, 1)
}

// The live offset and its target belong to a log that no longer exists.
func TestSwapIgnoresForeignOffsets(t *testing.T) {
	t.Parallel()
	f := openStore(t)
	f.resume(0, 0, 900, fresh)
	f.resume(7, 0, 3, fresh) // the log no longer has this partition
	f.applyIn("id old", 0, 500, completion("old", 1))
	shadow, rebuild := f.newShadow()
	positions, err := shadow.LivePositions(t.Context(), false)
	if diff := cmp.Diff(map[int32]stats.Position{0: {Offset: 500, Incarnation: "id old"}, 7: {}}, positions); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if keys := f.keys("stats:hold"); len(keys) != 0 {
		t.Error("paused although only the positions were requested")
	}
	rebuild.resume(0, 0, 0, fresh)
	rebuild.applyIn("id new", 0, 4, completion("new", 3))
	for name, foreign := range map[string]map[int32]int64{"no foreign offset": nil, "the offset advanced": {0: 499, 7: 0}} {
		if _, err := shadow.Swap(t.Context(), foreign); !errors.Is(err, stats.ErrLiveAhead) {
			t.Errorf("%s: got %v, want ErrLiveAhead", name, err)
		}
	}
	if _, err := shadow.Swap(t.Context(), map[int32]int64{0: 500, 7: 0}); err != nil {
		t.Fatal(err)
	}
	f.resume(0, 0, 4, stats.ResumePoint{Offset: 4, Incarnation: "id new"})
	f.expectCounts(1, 1)
	got, err := f.store.Read(t.Context(), nil)
	if diff := cmp.Diff(map[int32]int64{0: 4}, got.Targets); diff != "" || err != nil {
		t.Errorf("targets: %v (-want +got):\n%s", err, diff)
	}
}

func TestPauseExpires(t *testing.T) {
	t.Parallel()
	f := openStore(t)
	f.resume(0, 0, 9, fresh)
	shadow, _ := f.newShadow()
	if _, err := shadow.LivePositions(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	if ttl := f.client.PTTL(t.Context(), f.prefix+"stats:hold").Val(); ttl <= 0 || ttl > 5*time.Second {
		t.Errorf("paused for %v, want at most 5 s", ttl)
	}
	f.client.Set(t.Context(), f.store.RebuildLockKey(), "another", time.Minute)
	if _, err := shadow.LivePositions(t.Context(), true); !errors.Is(err, stats.ErrLockLost) {
		t.Errorf("without the lock: %v, want ErrLockLost", err)
	}
}

func TestShadowKeysExpireUnlessTheyAreSwappedIn(t *testing.T) {
	t.Parallel()
	f := openStore(t)
	shadow, rebuild := f.newShadow()
	rebuild.resume(0, 0, 0, fresh)
	for _, key := range f.keys("stats:rebuild:*") {
		if ttl := f.client.TTL(t.Context(), key).Val(); ttl != 24*time.Hour {
			t.Errorf("after the start %s has a TTL of %v, want 24 h", key, ttl)
		}
	}
	rebuild.apply(0, 0, 4, stats.Tally{Counted: 2}, completion("a", 0), onDay(nextDay, completion("b", 2)))
	keys := f.keys("stats:rebuild:*")
	if len(keys) != 8 { // offsets, targets, total, days, two days, two dedup keys
		t.Errorf("%d keys: %v", len(keys), keys)
	}
	for _, key := range keys {
		if ttl := f.client.TTL(t.Context(), key).Val(); ttl != 24*time.Hour {
			t.Errorf("%s has a TTL of %v, want 24 h", key, ttl)
		}
	}

	f.swap(shadow, stats.SwapResult{After: 2, Days: []stats.DayChange{{Day: day, After: 1}, {Day: nextDay, After: 1}}})
	for _, key := range []string{"stats:offsets", "stats:targets", "stats:days", "stats:tasks:completed", "stats:tasks:" + day, "stats:tasks:" + nextDay} {
		if ttl := f.client.TTL(t.Context(), f.prefix+key).Val(); ttl != -1 {
			t.Errorf("after the swap %s has a TTL of %v, want none", key, ttl)
		}
	}
	if keys := f.keys("stats:rebuild:*"); len(keys) != 2 {
		t.Errorf("keys of the shadow: %v, want its two dedup keys", keys)
	}
}
