package redisstore_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	goredis "github.com/redis/go-redis/v9"

	"example.com/todo/platform/apperr"
	"example.com/todo/platform/testenv"
	"example.com/todo/stats-service/internal/redisstore"
	"example.com/todo/stats-service/internal/stats"
)

const day, nextDay = "2024-01-15", "2024-01-16"

// fixture has a store with a Redis prefix of its own.
type fixture struct {
	*testing.T
	client goredis.UniversalClient
	prefix string
	store  *redisstore.Store
}

func openStore(t *testing.T) fixture {
	t.Helper()
	client := goredis.NewClient(&goredis.Options{Addr: testenv.RequireEnv(t, "TEST_REDIS_ADDR"), MaxRetries: -1})
	f := fixture{T: t, client: client, prefix: "{test-" + rand.Text() + "}"}
	f.store = redisstore.New(client, f.prefix)
	t.Cleanup(func() {
		f.flush()
		client.Close()
	})
	return f
}

// flush deletes all keys of the test.
func (f fixture) flush() {
	keys, err := f.client.Keys(context.Background(), f.prefix+"*").Result()
	if err == nil && len(keys) > 0 {
		f.client.Del(context.Background(), keys...)
	}
}

func (f fixture) resume(partition int32, oldest, newest int64, want stats.ResumePoint) {
	f.Helper()
	f.resumeIn(partition, stats.LogRange{Oldest: oldest, Newest: newest}, want)
}

func (f fixture) resumeIn(partition int32, log stats.LogRange, want stats.ResumePoint) {
	f.Helper()
	got, err := f.store.Resume(f.Context(), partition, log)
	if err != nil {
		f.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		f.Errorf("resume (-want +got):\n%s", diff)
	}
}

func (f fixture) reset(partition int32, log stats.LogRange, stored int64, want stats.ResumePoint) {
	f.Helper()
	got, err := f.store.Reset(f.Context(), partition, log, stored, want.Recount)
	if err != nil {
		f.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		f.Errorf("reset (-want +got):\n%s", diff)
	}
}

func (f fixture) apply(partition int32, from, next int64, want stats.Tally, completions ...stats.Completion) {
	f.Helper()
	got, err := f.store.Apply(f.Context(), stats.Batch{Partition: partition, From: from, Next: next, Completions: completions})
	if err != nil {
		f.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		f.Errorf("tally (-want +got):\n%s", diff)
	}
}

func (f fixture) expectMismatch(partition int32, from, next int64, completions ...stats.Completion) {
	f.Helper()
	_, err := f.store.Apply(f.Context(), stats.Batch{Partition: partition, From: from, Next: next, Completions: completions})
	if !errors.Is(err, stats.ErrOffsetMismatch) {
		f.Errorf("apply from %d: %v, want ErrOffsetMismatch", from, err)
	}
}

func (f fixture) expectCounts(total int64, days ...int64) {
	f.Helper()
	got, err := f.store.Read(f.Context(), []string{day, nextDay}[:len(days)])
	if err != nil {
		f.Fatal(err)
	}
	if got.Total != total {
		f.Errorf("total %d, want %d", got.Total, total)
	}
	if diff := cmp.Diff(days, got.Days); diff != "" {
		f.Errorf("days (-want +got):\n%s", diff)
	}
}

func completion(id string, offset int64) stats.Completion {
	return stats.Completion{DedupKey: "task.completed:" + id, Day: day, Offset: offset}
}

var fresh = stats.ResumePoint{Recount: stats.NothingKnown}

func TestApplyCountsAndStoresTheNextOffset(t *testing.T) {
	t.Parallel()
	f := openStore(t)
	f.resume(0, 0, 4, fresh)
	f.apply(0, 0, 3, stats.Tally{Counted: 2}, completion("a", 0), completion("b", 2))
	late := completion("c", 3)
	late.Day = nextDay
	f.apply(0, 3, 4, stats.Tally{Counted: 1}, late)
	f.resume(0, 0, 4, stats.ResumePoint{Offset: 4})
	f.expectCounts(3, 2, 1)

	got, err := f.store.Read(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := stats.Counters{Total: 3, Days: []int64{}, Offsets: map[int32]int64{0: 4}, Targets: map[int32]int64{0: 4}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestKeysHaveTheDocumentedNamesAndTTLs(t *testing.T) {
	t.Parallel()
	f := openStore(t)
	f.resume(2, 0, 9, fresh)
	f.apply(2, 0, 9, stats.Tally{Counted: 1}, completion("a", 7))
	generation := f.client.HGet(t.Context(), f.prefix+"stats:offsets", "generation").Val()
	if generation == "" {
		t.Error("the offsets have no generation")
	}
	for key, want := range map[string]string{
		"stats:tasks:completed":            "1",
		"stats:tasks:2024-01-15":           "1",
		"stats:processed:task.completed:a": "2:7:" + generation,
	} {
		if got := f.client.Get(t.Context(), f.prefix+key).Val(); got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
	if ttl := f.client.TTL(t.Context(), f.prefix+"stats:processed:task.completed:a").Val(); ttl != 24*time.Hour {
		t.Errorf("a dedup key has a TTL of %v, want 24 h", ttl)
	}
	if ttl := f.client.TTL(t.Context(), f.prefix+"stats:tasks:completed").Val(); ttl != -1 {
		t.Errorf("the total has a TTL of %v, want none", ttl)
	}
}

func TestApplyCountsABatchOnce(t *testing.T) {
	t.Parallel()
	f := openStore(t)
	f.resume(0, 0, 1, fresh)
	f.apply(0, 0, 1, stats.Tally{Counted: 1}, completion("a", 0))
	f.expectMismatch(0, 0, 1, completion("a", 0))
	f.expectCounts(1, 1)
}

func TestApplyRejectsTheBatchOfAZombie(t *testing.T) {
	t.Parallel()
	f := openStore(t)
	f.resume(0, 0, 3, fresh)
	zombie := redisstore.New(f.client, f.prefix)
	f.apply(0, 0, 3, stats.Tally{Counted: 2}, completion("a", 0), completion("b", 2))
	_, err := zombie.Apply(t.Context(), stats.Batch{Partition: 0, From: 0, Next: 2, Completions: []stats.Completion{completion("a", 0)}})
	if !errors.Is(err, stats.ErrOffsetMismatch) {
		t.Errorf("got %v, want ErrOffsetMismatch", err)
	}
	f.expectCounts(2, 2)
	f.resume(0, 0, 3, stats.ResumePoint{Offset: 3})
}

func TestEventAtAnotherOffsetIsADuplicate(t *testing.T) {
	t.Parallel()
	f := openStore(t)
	f.resume(0, 0, 9, fresh)
	f.apply(0, 0, 4, stats.Tally{Counted: 1, Duplicates: 1}, completion("a", 0), completion("a", 3))
	f.apply(0, 4, 9, stats.Tally{Counted: 1, Duplicates: 1}, completion("a", 4), completion("b", 8))
	f.expectCounts(2, 2)
}

// The dedup keys of the removed counters still exist, and the recount ignores them.
func TestRecountOfTheSameLogIsExact(t *testing.T) {
	t.Parallel()
	log := func(f fixture) {
		f.Helper()
		f.apply(0, 0, 4, stats.Tally{Counted: 1, Duplicates: 1}, completion("a", 0), completion("a", 3))
		f.apply(1, 0, 2, stats.Tally{Counted: 1}, completion("b", 1))
	}
	tests := map[string]struct {
		remove []string // nil: everything
		reason stats.RecountReason
	}{
		"everything":          {nil, stats.NothingKnown},
		"the offsets":         {[]string{"stats:offsets"}, stats.Inconsistent},
		"the total":           {[]string{"stats:tasks:completed"}, stats.Inconsistent},
		"a day":               {[]string{"stats:tasks:" + day}, stats.Inconsistent},
		"the set of days":     {[]string{"stats:days"}, stats.Inconsistent},
		"all but the offsets": {[]string{"stats:tasks:" + day, "stats:tasks:completed", "stats:days"}, stats.Inconsistent},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := openStore(t)
			f.resume(0, 0, 4, fresh)
			f.resume(1, 0, 2, fresh)
			log(f)
			if test.remove == nil {
				f.flush()
			}
			for _, key := range test.remove {
				f.client.Del(t.Context(), f.prefix+key)
			}
			f.resume(0, 0, 4, stats.ResumePoint{Recount: test.reason})
			f.expectMismatch(1, 2, 3)
			f.resume(1, 0, 2, fresh)
			log(f)
			f.expectCounts(2, 2)
		})
	}
}

// A topic that is restored from a copy has the same events at other offsets.
func TestRecountIgnoresDedupKeysOfAnEarlierLog(t *testing.T) {
	t.Parallel()
	f := openStore(t)
	f.resume(0, 0, 4, fresh)
	f.resume(1, 0, 4, fresh)
	f.apply(0, 0, 4, stats.Tally{Counted: 1}, completion("a", 0))
	f.apply(1, 0, 4, stats.Tally{Counted: 1}, completion("b", 3))
	f.reset(0, stats.LogRange{Oldest: 0, Newest: 3}, 4, stats.ResumePoint{Recount: stats.OutsideLog, Stored: 4})
	f.resume(1, 0, 3, fresh)
	f.apply(0, 0, 3, stats.Tally{Counted: 1, Duplicates: 1}, completion("b", 1), completion("b", 2))
	f.apply(1, 0, 3, stats.Tally{Counted: 1, Duplicates: 1}, completion("a", 1), completion("b", 2))
	f.expectCounts(2, 2)
}

func TestCopyCountsWhenTheLogDroppedTheFirstRecord(t *testing.T) {
	t.Parallel()
	f := openStore(t)
	f.resume(0, 0, 4, fresh)
	f.apply(0, 0, 2, stats.Tally{Counted: 1}, completion("a", 0))
	f.reset(0, stats.LogRange{Oldest: 3, Newest: 6}, 2, stats.ResumePoint{Offset: 3, Recount: stats.OutsideLog, Stored: 2})
	f.apply(0, 3, 6, stats.Tally{Counted: 1, Duplicates: 1}, completion("a", 3), completion("a", 5))
	f.expectCounts(1, 1)
}

// Without the generation, the dedup keys cannot be told from those of earlier counters.
func TestStoreRecountsWithoutAGeneration(t *testing.T) {
	t.Parallel()
	f := openStore(t)
	f.resume(0, 0, 4, fresh)
	f.apply(0, 0, 2, stats.Tally{Counted: 1}, completion("a", 0))
	f.client.HDel(t.Context(), f.prefix+"stats:offsets", "generation")
	f.expectMismatch(0, 2, 4, completion("a", 3))
	f.resume(0, 0, 4, stats.ResumePoint{Recount: stats.Inconsistent})
	f.apply(0, 0, 4, stats.Tally{Counted: 1, Duplicates: 1}, completion("a", 0), completion("a", 3))
	f.expectCounts(1, 1)
}

func TestApplyReturnsAMismatchWhenTheTotalWasRemoved(t *testing.T) {
	t.Parallel()
	f := openStore(t)
	f.resume(0, 0, 9, fresh)
	f.apply(0, 0, 4, stats.Tally{Counted: 1}, completion("a", 0))
	f.client.Del(t.Context(), f.prefix+"stats:tasks:completed")
	f.expectMismatch(0, 4, 5, completion("b", 4))
}

func TestResetRemovesTheOffsetsOfAllPartitions(t *testing.T) {
	t.Parallel()
	f := openStore(t)
	f.resume(0, 0, 10, fresh)
	f.resume(1, 0, 10, fresh)
	f.apply(0, 0, 10, stats.Tally{Counted: 1}, completion("a", 5))
	f.resume(0, 11, 40, stats.ResumePoint{Offset: 10}) // outside the log, which the store does not check

	log := stats.LogRange{Oldest: 11, Newest: 40}
	f.reset(0, log, 9, stats.ResumePoint{Offset: 10, Stored: 9}) // another member moved the offset
	f.expectCounts(1, 1)
	f.reset(0, log, 10, stats.ResumePoint{Offset: 11, Recount: stats.OutsideLog, Stored: 10})
	f.expectCounts(0, 0)
	f.expectMismatch(1, 0, 1)
	f.resume(1, 0, 10, fresh)
}

// applyIn applies a batch of a topic with that incarnation.
func (f fixture) applyIn(incarnation string, from, next int64, completions ...stats.Completion) {
	f.Helper()
	if _, err := f.store.Apply(f.Context(), stats.Batch{From: from, Next: next, Incarnation: incarnation, Completions: completions}); err != nil {
		f.Fatal(err)
	}
}

func TestStoreKeepsTheIncarnationBesideTheOffset(t *testing.T) {
	t.Parallel()
	log := stats.LogRange{Newest: 9, Incarnation: "id a"}
	f := openStore(t)
	f.resumeIn(0, log, stats.ResumePoint{Incarnation: "id a", Recount: stats.NothingKnown})
	f.applyIn("id a", 0, 4)
	f.resumeIn(0, log, stats.ResumePoint{Offset: 4, Incarnation: "id a"})
	f.resumeIn(0, stats.LogRange{Newest: 9, Incarnation: "id b"}, stats.ResumePoint{Offset: 4, Incarnation: "id a"}) // the store does not compare
	f.applyIn("record 5 abc", 4, 6)
	f.applyIn("", 6, 7) // nothing but dead letters
	f.resume(0, 0, 9, stats.ResumePoint{Offset: 7, Incarnation: "record 5 abc"})
	f.reset(0, stats.LogRange{Newest: 9, Incarnation: "id b"}, 7, stats.ResumePoint{Incarnation: "id b", Recount: stats.AnotherTopic, Stored: 7})
	f.resumeIn(0, log, stats.ResumePoint{Incarnation: "id b"})
}

// An earlier version stores no incarnations; it may run beside this one.
func TestStoreAdoptsAnOffsetWithoutAnIncarnation(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		setUp  func(f fixture)
		stored int64
		bound  string
	}{
		"upgraded":                  {func(f fixture) { f.client.Del(f.Context(), f.prefix+"stats:origins") }, 4, "id b"},
		"of another generation":     {func(f fixture) { f.client.HSet(f.Context(), f.prefix+"stats:offsets", "generation", "G2") }, 4, "id b"},
		"and outside the log":       {func(f fixture) { f.client.Del(f.Context(), f.prefix+"stats:origins") }, 40, ""},
		"of the current generation": {func(fixture) {}, 4, "id a"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := openStore(t)
			f.resume(0, 0, 9, fresh)
			f.applyIn("id a", 0, test.stored)
			test.setUp(f)
			first := test.bound
			if first == "id b" {
				first = ""
			}
			f.resumeIn(0, stats.LogRange{Newest: 9, Incarnation: "id b"}, stats.ResumePoint{Offset: test.stored, Incarnation: first})
			f.resumeIn(0, stats.LogRange{Newest: 9}, stats.ResumePoint{Offset: test.stored, Incarnation: test.bound})
		})
	}
}

func TestTargetIsTheLogEndWhenCountingStarted(t *testing.T) {
	t.Parallel()
	f := openStore(t)
	f.resume(0, 0, 10, fresh)
	f.resume(0, 0, 99, stats.ResumePoint{})
	got, err := f.store.Read(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[int32]int64{0: 10}, got.Targets); diff != "" {
		t.Errorf("targets (-want +got):\n%s", diff)
	}
}

func TestApplyCountsALargeBatchOverManyDays(t *testing.T) {
	t.Parallel()
	f := openStore(t)
	f.resume(0, 0, 2_000, fresh)
	var completions []stats.Completion
	for i := range int64(2_000) {
		completions = append(completions, stats.Completion{
			DedupKey: fmt.Sprintf("task.completed:%d", i),
			Day:      time.Unix(i*3600, 0).UTC().Format(time.DateOnly),
			Offset:   i,
		})
	}
	f.apply(0, 0, 2_000, stats.Tally{Counted: 2_000}, completions...)
	got, err := f.store.Read(t.Context(), []string{"1970-01-01", "1970-02-01", "1970-03-25"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int64{24, 24, 8}, got.Days); diff != "" {
		t.Errorf("days (-want +got):\n%s", diff)
	}
	f.resume(0, 0, 2_000, stats.ResumePoint{Offset: 2_000})
}

func TestReadIsUnavailableWithARetryAfterWhileRedisIsDown(t *testing.T) {
	t.Parallel()
	client := goredis.NewClient(&goredis.Options{Addr: "127.0.0.1:1", MaxRetries: -1})
	t.Cleanup(func() { client.Close() })
	_, err := redisstore.New(client, "").Read(t.Context(), []string{day})
	unavailable := apperr.Of(err)
	if unavailable.Kind != apperr.Unavailable || unavailable.RetryAfter <= 0 {
		t.Errorf("got %v, want apperr.Unavailable with a RetryAfter", err)
	}
}
