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

// fixture is a store on a Redis prefix of the test's own.
type fixture struct {
	*testing.T
	client goredis.UniversalClient
	prefix string
	store  *redisstore.Store
}

func open(t *testing.T) fixture {
	t.Helper()
	client := goredis.NewClient(&goredis.Options{Addr: testenv.RequireEnv(t, "TEST_REDIS_ADDR"), MaxRetries: -1})
	f := fixture{T: t, client: client, prefix: "{test-" + rand.Text() + "}"}
	f.store = redisstore.New(client, f.prefix)
	t.Cleanup(func() {
		f.wipe()
		client.Close()
	})
	return f
}

// wipe is what FLUSHALL does, to the test's own keys.
func (f fixture) wipe() {
	keys, err := f.client.Keys(context.Background(), f.prefix+"*").Result()
	if err == nil && len(keys) > 0 {
		f.client.Del(context.Background(), keys...)
	}
}

func (f fixture) begin(partition int32, oldest, newest int64, want stats.ResumePoint) {
	f.Helper()
	got, err := f.store.Resume(f.Context(), partition, stats.LogRange{Oldest: oldest, Newest: newest})
	if err != nil {
		f.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		f.Errorf("begin (-want +got):\n%s", diff)
	}
}

func (f fixture) restart(partition int32, log stats.LogRange, stored int64, want stats.ResumePoint) {
	f.Helper()
	got, err := f.store.Reset(f.Context(), partition, log, stored, want.Recount)
	if err != nil {
		f.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		f.Errorf("restart (-want +got):\n%s", diff)
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

func (f fixture) moved(partition int32, from, next int64, completions ...stats.Completion) {
	f.Helper()
	_, err := f.store.Apply(f.Context(), stats.Batch{Partition: partition, From: from, Next: next, Completions: completions})
	if !errors.Is(err, stats.ErrOffsetMismatch) {
		f.Errorf("apply from %d: %v, want ErrMoved", from, err)
	}
}

func (f fixture) counts(total int64, days ...int64) {
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

func TestCountingKeepsItsPlace(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.begin(0, 0, 4, fresh)
	f.apply(0, 0, 3, stats.Tally{Counted: 2}, completion("a", 0), completion("b", 2))
	late := completion("c", 3)
	late.Day = nextDay
	f.apply(0, 3, 4, stats.Tally{Counted: 1}, late)
	f.begin(0, 0, 4, stats.ResumePoint{Offset: 4})
	f.counts(3, 2, 1)

	got, err := f.store.Read(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := stats.Counters{Total: 3, Days: []int64{}, Offsets: map[int32]int64{0: 4}, Targets: map[int32]int64{0: 4}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTheKeysAreWhatTheDocumentsSay(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.begin(2, 0, 9, fresh)
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
		t.Errorf("a mark lives %v, want 24 h", ttl)
	}
	if ttl := f.client.TTL(t.Context(), f.prefix+"stats:tasks:completed").Val(); ttl != -1 {
		t.Errorf("the total lives %v, want for ever", ttl)
	}
}

func TestABatchAppliedTwiceCountsOnce(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.begin(0, 0, 1, fresh)
	f.apply(0, 0, 1, stats.Tally{Counted: 1}, completion("a", 0))
	f.moved(0, 0, 1, completion("a", 0))
	f.counts(1, 1)
}

func TestAZombiesBatchIsRefused(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.begin(0, 0, 3, fresh)
	zombie := redisstore.New(f.client, f.prefix)
	f.apply(0, 0, 3, stats.Tally{Counted: 2}, completion("a", 0), completion("b", 2))
	_, err := zombie.Apply(t.Context(), stats.Batch{Partition: 0, From: 0, Next: 2, Completions: []stats.Completion{completion("a", 0)}})
	if !errors.Is(err, stats.ErrOffsetMismatch) {
		t.Errorf("got %v, want ErrMoved", err)
	}
	f.counts(2, 2)
	f.begin(0, 0, 3, stats.ResumePoint{Offset: 3})
}

func TestAnEventAtAnotherPlaceIsADuplicate(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.begin(0, 0, 9, fresh)
	f.apply(0, 0, 4, stats.Tally{Counted: 1, Duplicates: 1}, completion("a", 0), completion("a", 3))
	f.apply(0, 4, 9, stats.Tally{Counted: 1, Duplicates: 1}, completion("a", 4), completion("b", 8))
	f.counts(2, 2)
}

// The marks outlive the counters here; they say nothing about the new count.
func TestARecountOfTheSameLogIsExact(t *testing.T) {
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
		"everything":         {nil, stats.NothingKnown},
		"the offsets":        {[]string{"stats:offsets"}, stats.Inconsistent},
		"the total":          {[]string{"stats:tasks:completed"}, stats.Inconsistent},
		"a day":              {[]string{"stats:tasks:" + day}, stats.Inconsistent},
		"the index of days":  {[]string{"stats:days"}, stats.Inconsistent},
		"all but the ledger": {[]string{"stats:tasks:" + day, "stats:tasks:completed", "stats:days"}, stats.Inconsistent},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := open(t)
			f.begin(0, 0, 4, fresh)
			f.begin(1, 0, 2, fresh)
			log(f)
			if test.remove == nil {
				f.wipe()
			}
			for _, key := range test.remove {
				f.client.Del(t.Context(), f.prefix+key)
			}
			f.begin(0, 0, 4, stats.ResumePoint{Recount: test.reason})
			f.moved(1, 2, 3)
			f.begin(1, 0, 2, fresh)
			log(f)
			f.counts(2, 2)
		})
	}
}

// A topic made anew and restored from a copy holds the same events elsewhere.
func TestMarksOfAnEarlierLogHideNothingFromARecount(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.begin(0, 0, 4, fresh)
	f.begin(1, 0, 4, fresh)
	f.apply(0, 0, 4, stats.Tally{Counted: 1}, completion("a", 0))
	f.apply(1, 0, 4, stats.Tally{Counted: 1}, completion("b", 3))
	f.restart(0, stats.LogRange{Oldest: 0, Newest: 3}, 4, stats.ResumePoint{Recount: stats.OutsideLog, Stored: 4})
	f.begin(1, 0, 3, fresh)
	f.apply(0, 0, 3, stats.Tally{Counted: 1, Duplicates: 1}, completion("b", 1), completion("b", 2))
	f.apply(1, 0, 3, stats.Tally{Counted: 1, Duplicates: 1}, completion("a", 1), completion("b", 2))
	f.counts(2, 2)
}

func TestACopyCountsWhenTheLogHasDroppedTheFirst(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.begin(0, 0, 4, fresh)
	f.apply(0, 0, 2, stats.Tally{Counted: 1}, completion("a", 0))
	f.restart(0, stats.LogRange{Oldest: 3, Newest: 6}, 2, stats.ResumePoint{Offset: 3, Recount: stats.OutsideLog, Stored: 2})
	f.apply(0, 3, 6, stats.Tally{Counted: 1, Duplicates: 1}, completion("a", 3), completion("a", 5))
	f.counts(1, 1)
}

// Without its generation a count can not tell its own marks from earlier ones.
func TestALostGenerationMakesARecount(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.begin(0, 0, 4, fresh)
	f.apply(0, 0, 2, stats.Tally{Counted: 1}, completion("a", 0))
	f.client.HDel(t.Context(), f.prefix+"stats:offsets", "generation")
	f.moved(0, 2, 4, completion("a", 3))
	f.begin(0, 0, 4, stats.ResumePoint{Recount: stats.Inconsistent})
	f.apply(0, 0, 4, stats.Tally{Counted: 1, Duplicates: 1}, completion("a", 0), completion("a", 3))
	f.counts(1, 1)
}

func TestAPartitionCountedInTheMiddleIsNoticedWhenTheTotalGoes(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.begin(0, 0, 9, fresh)
	f.apply(0, 0, 4, stats.Tally{Counted: 1}, completion("a", 0))
	f.client.Del(t.Context(), f.prefix+"stats:tasks:completed")
	f.moved(0, 4, 5, completion("b", 4))
}

func TestARestartGivesUpAllPartitions(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.begin(0, 0, 10, fresh)
	f.begin(1, 0, 10, fresh)
	f.apply(0, 0, 10, stats.Tally{Counted: 1}, completion("a", 5))
	f.begin(0, 11, 40, stats.ResumePoint{Offset: 10}) // outside, but that is not for the store to judge

	log := stats.LogRange{Oldest: 11, Newest: 40}
	f.restart(0, log, 9, stats.ResumePoint{Offset: 10, Stored: 9}) // another member was faster
	f.counts(1, 1)
	f.restart(0, log, 10, stats.ResumePoint{Offset: 11, Recount: stats.OutsideLog, Stored: 10})
	f.counts(0, 0)
	f.moved(1, 0, 1)
	f.begin(1, 0, 10, fresh)
}

// applyOf is a batch from the log of that origin.
func (f fixture) applyOf(origin string, from, next int64, completions ...stats.Completion) {
	f.Helper()
	if _, err := f.store.Apply(f.Context(), stats.Batch{From: from, Next: next, Incarnation: origin, Completions: completions}); err != nil {
		f.Fatal(err)
	}
}

func (f fixture) beginIn(log stats.LogRange, want stats.ResumePoint) {
	f.Helper()
	got, err := f.store.Resume(f.Context(), 0, log)
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		f.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestTheOriginIsStoredBesideTheOffset(t *testing.T) {
	t.Parallel()
	log := stats.LogRange{Newest: 9, Incarnation: "id a"}
	f := open(t)
	f.beginIn(log, stats.ResumePoint{Incarnation: "id a", Recount: stats.NothingKnown})
	f.applyOf("id a", 0, 4)
	f.beginIn(log, stats.ResumePoint{Offset: 4, Incarnation: "id a"})
	f.beginIn(stats.LogRange{Newest: 9, Incarnation: "id b"}, stats.ResumePoint{Offset: 4, Incarnation: "id a"}) // not for the store to judge
	f.applyOf("record 5 abc", 4, 6)
	f.applyOf("", 6, 7) // nothing but dead letters
	f.begin(0, 0, 9, stats.ResumePoint{Offset: 7, Incarnation: "record 5 abc"})
	f.restart(0, stats.LogRange{Newest: 9, Incarnation: "id b"}, 7, stats.ResumePoint{Incarnation: "id b", Recount: stats.AnotherTopic, Stored: 7})
	f.beginIn(log, stats.ResumePoint{Incarnation: "id b"})
}

// It began a count without origins, beside this version or before it.
func TestACountOfAnEarlierVersionIsTakenForTheLogsOwn(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		leave  func(f fixture)
		stored int64
		bound  string
	}{
		"upgraded":                   {func(f fixture) { f.client.Del(f.Context(), f.prefix+"stats:origins") }, 4, "id b"},
		"of another generation":      {func(f fixture) { f.client.HSet(f.Context(), f.prefix+"stats:offsets", "generation", "G2") }, 4, "id b"},
		"and it is not in the log":   {func(f fixture) { f.client.Del(f.Context(), f.prefix+"stats:origins") }, 40, ""},
		"of the generation that was": {func(fixture) {}, 4, "id a"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := open(t)
			f.begin(0, 0, 9, fresh)
			f.applyOf("id a", 0, test.stored)
			test.leave(f)
			first := test.bound
			if first == "id b" {
				first = ""
			}
			f.beginIn(stats.LogRange{Newest: 9, Incarnation: "id b"}, stats.ResumePoint{Offset: test.stored, Incarnation: first})
			f.beginIn(stats.LogRange{Newest: 9}, stats.ResumePoint{Offset: test.stored, Incarnation: test.bound})
		})
	}
}

func TestTheTargetIsTheLogsEndWhenCountingBegan(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.begin(0, 0, 10, fresh)
	f.begin(0, 0, 99, stats.ResumePoint{})
	got, err := f.store.Read(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[int32]int64{0: 10}, got.Targets); diff != "" {
		t.Errorf("targets (-want +got):\n%s", diff)
	}
}

func TestALargeBatchOverManyDaysIsExact(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.begin(0, 0, 2_000, fresh)
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
	f.begin(0, 0, 2_000, stats.ResumePoint{Offset: 2_000})
}

func TestAReaderIsToldToComeAgainWhileRedisIsAway(t *testing.T) {
	t.Parallel()
	client := goredis.NewClient(&goredis.Options{Addr: "127.0.0.1:1", MaxRetries: -1})
	t.Cleanup(func() { client.Close() })
	_, err := redisstore.New(client, "").Read(t.Context(), []string{day})
	refusal := apperr.Of(err)
	if refusal.Kind != apperr.Unavailable || refusal.RetryAfter <= 0 {
		t.Errorf("got %v, want fault.Unavailable and when to try again", err)
	}
}
