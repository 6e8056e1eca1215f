package redisstore_test

import (
	"context"
	"crypto/rand"
	"log/slog"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"example.com/todo/notification-service/internal/notify"
	"example.com/todo/notification-service/internal/redisstore"
	"example.com/todo/platform/testenv"
)

const testKey = "task.completed:0198"

// openRedis returns a client and a key prefix of the test's own, whose keys the test
// deletes when it ends.
func openRedis(t *testing.T) (goredis.UniversalClient, string) {
	t.Helper()
	client := goredis.NewClient(&goredis.Options{Addr: testenv.RequireEnv(t, "TEST_REDIS_ADDR"), MaxRetries: -1})
	prefix := "test-" + rand.Text() + ":"
	t.Cleanup(func() {
		keys, err := client.Keys(context.Background(), prefix+"*").Result()
		if err == nil && len(keys) > 0 {
			client.Del(context.Background(), keys...)
		}
		client.Close()
	})
	return client, prefix
}

func acquire(t *testing.T, c *redisstore.ClaimStore, want notify.State) notify.Claim {
	t.Helper()
	got, err := c.Acquire(t.Context(), testKey)
	if err != nil {
		t.Fatal(err)
	}
	if got.State != want {
		t.Fatalf("Acquire found state %d, want %d", got.State, want)
	}
	return got
}

func recordSent(t *testing.T, c *redisstore.ClaimStore) {
	t.Helper()
	if _, err := c.RecordSent(t.Context(), testKey, ""); err != nil {
		t.Fatal(err)
	}
}

func TestClaimExcludesOtherOwnersUntilTheSendIsRecorded(t *testing.T) {
	t.Parallel()
	client, prefix := openRedis(t)
	first := redisstore.NewClaimStore(client, prefix, time.Minute, slog.New(slog.DiscardHandler))
	second := redisstore.NewClaimStore(client, prefix, time.Minute, slog.New(slog.DiscardHandler))
	acquire(t, first, notify.Acquired)
	acquire(t, second, notify.LeasedByOther)
	acquire(t, first, notify.Acquired)
	recordSent(t, first)
	acquire(t, second, notify.AlreadySent)
	acquire(t, first, notify.AlreadySent)
}

func TestDedupKeyHasTheDocumentedNameAndTTL(t *testing.T) {
	t.Parallel()
	client, prefix := openRedis(t)
	c := redisstore.NewClaimStore(client, prefix, time.Minute, slog.New(slog.DiscardHandler))
	acquire(t, c, notify.Acquired)
	key := prefix + "processed:task.completed:0198"
	if ttl := client.PTTL(t.Context(), key).Val(); ttl <= 0 || ttl > time.Minute {
		t.Errorf("a claim has a TTL of %v, want a lease of a minute", ttl)
	}
	recordSent(t, c)
	if ttl := client.PTTL(t.Context(), key).Val(); ttl <= 23*time.Hour || ttl > 24*time.Hour {
		t.Errorf("the dedup key of a sent notification has a TTL of %v, want 24 h", ttl)
	}
}

func TestExpiredClaimIsTakenOver(t *testing.T) {
	t.Parallel()
	client, prefix := openRedis(t)
	frozen := redisstore.NewClaimStore(client, prefix, time.Millisecond, slog.New(slog.DiscardHandler))
	successor := redisstore.NewClaimStore(client, prefix, time.Minute, slog.New(slog.DiscardHandler))
	acquire(t, frozen, notify.Acquired)
	waitGone(t, client, prefix+"processed:"+testKey)
	acquire(t, successor, notify.Acquired)

	recordSent(t, frozen)
	if got := client.Get(t.Context(), prefix+"processed:"+testKey).Val(); got == "done" {
		t.Error("the frozen owner replaced the claim of its successor")
	}
	recordSent(t, successor)
	acquire(t, frozen, notify.AlreadySent)
}

func TestRecordSentHoldsAfterTheLeaseExpired(t *testing.T) {
	t.Parallel()
	client, prefix := openRedis(t)
	slow := redisstore.NewClaimStore(client, prefix, time.Millisecond, slog.New(slog.DiscardHandler))
	acquire(t, slow, notify.Acquired)
	waitGone(t, client, prefix+"processed:"+testKey)
	recordSent(t, slow)
	acquire(t, redisstore.NewClaimStore(client, prefix, time.Minute, slog.New(slog.DiscardHandler)), notify.AlreadySent)
}

func TestRecordSentAcquiresTheNextKeyInOneStep(t *testing.T) {
	t.Parallel()
	client, prefix := openRedis(t)
	c := redisstore.NewClaimStore(client, prefix, time.Minute, slog.New(slog.DiscardHandler))
	other := redisstore.NewClaimStore(client, prefix, time.Minute, slog.New(slog.DiscardHandler))
	steps := []struct {
		done, next string
		want       notify.State
	}{
		{"a", "b", notify.Acquired},
		{"b", "b", notify.AlreadySent}, // the same event, twice in a row
		{"b", "a", notify.AlreadySent},
		{"c", "theirs", notify.LeasedByOther},
	}
	if _, err := other.Acquire(t.Context(), "theirs"); err != nil {
		t.Fatal(err)
	}
	for _, step := range steps {
		got, err := c.RecordSent(t.Context(), step.done, step.next)
		if err != nil || got.State != step.want {
			t.Errorf("RecordSent(%s, %s): state %d, %v; want %d", step.done, step.next, got.State, err, step.want)
		}
		if value := client.Get(t.Context(), prefix+"processed:"+step.done).Val(); value != "done" {
			t.Errorf("the value of %s is %q", step.done, value)
		}
	}
	if got, err := other.Acquire(t.Context(), "b"); err != nil || got.State != notify.AlreadySent {
		t.Errorf("another finds b in state %d, %v", got.State, err)
	}
}

func TestClaimHasTheRejectionAndTheLastDelivery(t *testing.T) {
	t.Parallel()
	client, prefix := openRedis(t)
	c := redisstore.NewClaimStore(client, prefix, time.Minute, slog.New(slog.DiscardHandler))
	first := acquire(t, c, notify.Acquired)
	if off := time.Since(first.ClaimedAt); off < -time.Minute || off > time.Minute {
		t.Errorf("claimed at %v, %v ago", first.ClaimedAt, off)
	}
	if !first.RejectedSince.IsZero() || !first.LastDelivery.IsZero() {
		t.Errorf("nothing was rejected or delivered, and the claim is %+v", first)
	}
	since := first.ClaimedAt.Add(-time.Hour)
	if err := c.RecordRejection(t.Context(), testKey, since); err != nil {
		t.Fatal(err)
	}
	if _, err := c.RecordSent(t.Context(), "another", ""); err != nil {
		t.Fatal(err)
	}
	for name, found := range map[string]notify.Claim{
		"claim": acquire(t, c, notify.Acquired),
		"done":  acquireAsNext(t, c),
	} {
		if !found.RejectedSince.Equal(since) {
			t.Errorf("%s: rejected since %v, want %v", name, found.RejectedSince, since)
		}
		if found.LastDelivery.Before(first.ClaimedAt) || found.LastDelivery.After(found.ClaimedAt) {
			t.Errorf("%s: the last delivery at %v, not from %v to %v", name, found.LastDelivery, first.ClaimedAt, found.ClaimedAt)
		}
	}
	if ttl := client.PTTL(t.Context(), prefix+"notification:refused:"+testKey).Val(); ttl <= 4*time.Minute || ttl > 5*time.Minute {
		t.Errorf("a rejection has a TTL of %v, want 5 minutes", ttl)
	}
}

// acquireAsNext acquires the key with RecordSent of another one.
func acquireAsNext(t *testing.T, c *redisstore.ClaimStore) notify.Claim {
	t.Helper()
	found, err := c.RecordSent(t.Context(), "another", testKey)
	if err != nil || found.State != notify.Acquired {
		t.Fatalf("state %d, %v", found.State, err)
	}
	return found
}

func TestOffsetsMoveForwardOnly(t *testing.T) {
	t.Parallel()
	client, prefix := openRedis(t)
	offsets := redisstore.NewOffsets(client, prefix, slog.New(slog.DiscardHandler))
	steps := []struct {
		name string
		do   func() error
		want int64
	}{
		{"nothing is stored", func() error { return nil }, 0},
		{"forward", func() error { return offsets.Advance(t.Context(), 3, 100, "id a") }, 100},
		{"a zombie's older offset", func() error { return offsets.Advance(t.Context(), 3, 99, "id a") }, 100},
		{"further", func() error { return offsets.Advance(t.Context(), 3, 1_000, "id a") }, 1_000},
		{"bound to its topic", func() error { return offsets.Bind(t.Context(), 3, "id a", 0) }, 1_000},
		{"a zombie of an earlier topic", func() error { return offsets.Advance(t.Context(), 3, 2_000, "id before a") }, 1_000},
		{"another partition", func() error { return offsets.Advance(t.Context(), 4, 5_000, "id a") }, 1_000},
		{"another offset is foreign", func() error { return offsets.Bind(t.Context(), 3, "id b", 100) }, 1_000},
		{"the stored offset is foreign", func() error { return offsets.Bind(t.Context(), 3, "id c", 1_000) }, 0},
	}
	for _, step := range steps {
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		got, _, err := offsets.Load(t.Context(), 3)
		if err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if got != step.want {
			t.Errorf("%s: offset %d, want %d", step.name, got, step.want)
		}
	}
}

func waitGone(t *testing.T, client goredis.UniversalClient, key string) {
	t.Helper()
	deadline := time.Now().Add(5 * time.Second)
	for client.Exists(t.Context(), key).Val() != 0 {
		if time.Now().After(deadline) {
			t.Fatalf("%s is still there", key)
		}
	}
}
