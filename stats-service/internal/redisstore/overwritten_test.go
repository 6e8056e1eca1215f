package redisstore_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"example.com/todo/platform/apperr"
	"example.com/todo/platform/testenv"
	"example.com/todo/stats-service/internal/redisstore"
	"example.com/todo/stats-service/internal/stats"
)

// overwrites are values and types that another program may write to a key.
var overwrites = map[string]func(ctx context.Context, c goredis.UniversalClient, key string){
	"text":       text("x"),
	"negative":   text("-1"),
	"empty":      text(""),
	"huge":       text(strings.Repeat("9", 400)),
	"beyond Lua": text("9223372036854775807"),
	"other JSON": text(`{"count":1}`),
	"list":       func(ctx context.Context, c goredis.UniversalClient, key string) { c.RPush(ctx, key, "x") },
	"set":        func(ctx context.Context, c goredis.UniversalClient, key string) { c.SAdd(ctx, key, "2024-01-15", "x") },
	"sorted set": func(ctx context.Context, c goredis.UniversalClient, key string) {
		c.ZAdd(ctx, key, goredis.Z{Member: "x"})
	},
	"hash":         func(ctx context.Context, c goredis.UniversalClient, key string) { c.HSet(ctx, key, "x", "y") },
	"hash of text": func(ctx context.Context, c goredis.UniversalClient, key string) { c.HSet(ctx, key, "0", "x", "1", "") },
	"hash of negatives": func(ctx context.Context, c goredis.UniversalClient, key string) {
		c.HSet(ctx, key, "0", "-5", "generation", "")
	},
	"hash of the huge": func(ctx context.Context, c goredis.UniversalClient, key string) {
		c.HSet(ctx, key, "0", strings.Repeat("9", 400))
	},
	"stream": func(ctx context.Context, c goredis.UniversalClient, key string) {
		c.XAdd(ctx, &goredis.XAddArgs{Stream: key, Values: []string{"x", "y"}})
	},
}

func text(value string) func(context.Context, goredis.UniversalClient, string) {
	return func(ctx context.Context, c goredis.UniversalClient, key string) { c.Set(ctx, key, value, 0) }
}

func (f fixture) overwrite(key, how string) {
	f.Helper()
	f.client.Del(f.Context(), f.prefix+key)
	overwrites[how](f.Context(), f.client, f.prefix+key)
	if f.client.Exists(f.Context(), f.prefix+key).Val() != 1 {
		f.Fatalf("%s was not overwritten by %s", key, how)
	}
}

// countLog counts a log of one partition as a member of the group does: on a mismatch it
// resumes at the stored offset.
func (f fixture) countLog(log []stats.Completion) {
	f.Helper()
	ctx, cancel := context.WithTimeout(f.Context(), 10*time.Second) // Apply waits during a pause
	defer cancel()
	end := int64(len(log))
	for range 20 {
		b, err := f.store.Resume(ctx, 0, stats.LogRange{Newest: end})
		if err != nil {
			f.Fatal(err)
		}
		if b.Offset > end {
			if b, err = f.store.Reset(ctx, 0, stats.LogRange{Newest: end}, b.Offset, stats.OutsideLog); err != nil {
				f.Fatal(err)
			}
		}
		at := b.Offset
		for at < end && err == nil {
			_, err = f.store.Apply(ctx, stats.Batch{From: at, Next: at + 1, Incarnation: "id a", Completions: log[at : at+1]})
			at++
		}
		switch {
		case err == nil:
			return
		case !errors.Is(err, stats.ErrOffsetMismatch):
			f.Fatal(err)
		}
	}
	f.Fatal("the log is not counted after 20 sessions")
}

// loggedTwice has one completion twice.
var loggedTwice = []stats.Completion{
	by("7", completion("a", 0)), completion("b", 1), by("7", onDay(nextDay, completion("c", 2))), by("7", completion("a", 3)), by("7", completion("d", 4)),
}

var ownKeys = []string{
	"stats:tasks:completed", "stats:tasks:" + day, "stats:tasks:" + nextDay, "stats:days", "stats:offsets", "stats:targets",
	"stats:origins", "stats:hold", "stats:processed:task.completed:a", "stats:processed:task.completed:d",
	"stats:users", "stats:user:7", "stats:users:retired", "lock:stats-rebuild",
}

// replacedKeys are those of ownKeys that a swap replaces.
var replacedKeys = slices.Concat(ownKeys[:7], ownKeys[10:13])

func TestStoreRecountsAfterAKeyWasOverwritten(t *testing.T) {
	t.Parallel()
	for _, key := range ownKeys {
		for how := range overwrites {
			t.Run(key+" by "+how, func(t *testing.T) {
				t.Parallel()
				f := openStore(t)
				f.countLog(loggedTwice[:3])
				f.overwrite(key, how)
				if _, err := f.store.Read(t.Context(), []string{day, nextDay}); err != nil && apperr.Of(err).Kind != apperr.Unavailable {
					t.Errorf("Read returned %v", err)
				}
				f.countLog(loggedTwice)
				f.expectCounts(4, 3, 1)
				f.expectUser("7", 3, 2, 1)
				f.resume(0, 0, 5, stats.ResumePoint{Offset: 5, Incarnation: "id a"})
			})
		}
	}
}

// The next batch detects a key that was overwritten during a session.
func TestMemberResumesWhenItFindsAnOverwrittenKey(t *testing.T) {
	t.Parallel()
	for _, key := range ownKeys[:len(ownKeys)-1] {
		for how := range overwrites {
			t.Run(key+" by "+how, func(t *testing.T) {
				t.Parallel()
				f := openStore(t)
				f.countLog(loggedTwice[:3])
				f.overwrite(key, how)
				_, err := f.store.Apply(t.Context(), stats.Batch{From: 3, Next: 5, Incarnation: "id a", Completions: loggedTwice[3:]})
				if err != nil && !errors.Is(err, stats.ErrOffsetMismatch) {
					t.Fatal(err)
				}
				f.countLog(loggedTwice)
				f.expectCounts(4, 3, 1)
				f.expectUser("7", 3, 2, 1)
			})
		}
	}
}

// The service does not run, so only the rebuild can repair the counters.
func TestRebuildRepairsAnOverwrittenKey(t *testing.T) {
	t.Parallel()
	for _, key := range replacedKeys {
		for how := range overwrites {
			t.Run(key+" by "+how, func(t *testing.T) {
				t.Parallel()
				f := openStore(t)
				f.countLog(loggedTwice)
				f.overwrite(key, how)
				shadow, rebuild := f.newShadow()
				if _, err := shadow.LivePositions(t.Context(), true); err != nil {
					t.Fatal(err)
				}
				rebuild.countLog(loggedTwice)
				if _, err := shadow.Swap(t.Context(), nil); err != nil {
					t.Fatal(err)
				}
				f.expectCounts(4, 3, 1)
				f.expectUser("7", 3, 2, 1)
				f.resume(0, 0, 5, stats.ResumePoint{Offset: 5, Incarnation: "id a"})
			})
		}
	}
}

func TestSwapRejectsAShadowWithAnOverwrittenKey(t *testing.T) {
	t.Parallel()
	for _, key := range ownKeys[:5] {
		for how := range overwrites {
			t.Run(key+" by "+how, func(t *testing.T) {
				t.Parallel()
				f := openStore(t)
				f.countLog(loggedTwice)
				shadow, rebuild := f.newShadow()
				rebuild.countLog(loggedTwice)
				own, _, _ := strings.Cut(strings.TrimPrefix(f.keys("stats:rebuild:*:stats:offsets")[0], f.prefix), "stats:offsets")
				f.overwrite(own+key, how)
				if _, err := shadow.Swap(t.Context(), nil); !errors.Is(err, stats.ErrOffsetMismatch) {
					t.Errorf("got %v, want %v", err, stats.ErrOffsetMismatch)
				}
				f.expectCounts(4, 3, 1)
				f.expectUser("7", 3, 2, 1)
			})
		}
	}
}

func TestStoreReadsTheCountersWhileRedisIsFull(t *testing.T) {
	t.Parallel()
	f := fixture{T: t, client: startRedis(t)}
	f.store = redisstore.New(f.client, "")
	f.countLog(loggedTwice)
	if err := f.client.ConfigSet(t.Context(), "maxmemory", "1").Err(); err != nil {
		t.Fatal(err)
	}
	if err := f.client.Set(t.Context(), "more", "x", 0).Err(); !goredis.HasErrorPrefix(err, "OOM") {
		t.Fatalf("Redis is not full: %v", err)
	}
	if err := f.client.ScriptFlush(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	f.expectCounts(4, 3, 1)
	if err := f.client.ConfigSet(t.Context(), "maxmemory", "0").Err(); err != nil {
		t.Fatal(err)
	}
	if err := f.client.ConfigSet(t.Context(), "min-replicas-to-write", "1").Err(); err != nil {
		t.Fatal(err)
	}
	f.expectCounts(4, 3, 1)
}

// startRedis starts a Redis for the test and returns a client.
func startRedis(t *testing.T) *goredis.Client {
	t.Helper()
	client := goredis.NewClient(&goredis.Options{Addr: testenv.StartRedis(t), MaxRetries: -1})
	t.Cleanup(func() { client.Close() })
	return client
}
