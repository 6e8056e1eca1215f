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

const mark = "task.completed:0198"

// open returns a client of the test's Redis and a prefix of the test's own,
// whose keys are gone when the test ends.
func open(t *testing.T) (goredis.UniversalClient, string) {
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

func claim(t *testing.T, c *redisstore.ClaimStore, want notify.State) notify.Claim {
	t.Helper()
	got, err := c.Acquire(t.Context(), mark)
	if err != nil {
		t.Fatal(err)
	}
	if got.State != want {
		t.Fatalf("claim found state %d, want %d", got.State, want)
	}
	return got
}

func done(t *testing.T, c *redisstore.ClaimStore) {
	t.Helper()
	if _, err := c.RecordSent(t.Context(), mark, ""); err != nil {
		t.Fatal(err)
	}
}

func TestAClaimShutsOutTheOthersUntilDone(t *testing.T) {
	t.Parallel()
	client, prefix := open(t)
	first := redisstore.NewClaimStore(client, prefix, time.Minute, slog.New(slog.DiscardHandler))
	second := redisstore.NewClaimStore(client, prefix, time.Minute, slog.New(slog.DiscardHandler))
	claim(t, first, notify.Acquired)
	claim(t, second, notify.LeasedByOther)
	claim(t, first, notify.Acquired)
	done(t, first)
	claim(t, second, notify.AlreadySent)
	claim(t, first, notify.AlreadySent)
}

func TestTheMarkIsWhatTheDocumentsSay(t *testing.T) {
	t.Parallel()
	client, prefix := open(t)
	c := redisstore.NewClaimStore(client, prefix, time.Minute, slog.New(slog.DiscardHandler))
	claim(t, c, notify.Acquired)
	key := prefix + "processed:task.completed:0198"
	if ttl := client.PTTL(t.Context(), key).Val(); ttl <= 0 || ttl > time.Minute {
		t.Errorf("a claim lives %v, want a lease of a minute", ttl)
	}
	done(t, c)
	if ttl := client.PTTL(t.Context(), key).Val(); ttl <= 23*time.Hour || ttl > 24*time.Hour {
		t.Errorf("a done mark lives %v, want 24 h", ttl)
	}
}

func TestAClaimThatRanOutIsTakenOver(t *testing.T) {
	t.Parallel()
	client, prefix := open(t)
	frozen := redisstore.NewClaimStore(client, prefix, time.Millisecond, slog.New(slog.DiscardHandler))
	heir := redisstore.NewClaimStore(client, prefix, time.Minute, slog.New(slog.DiscardHandler))
	claim(t, frozen, notify.Acquired)
	waitGone(t, client, prefix+"processed:"+mark)
	claim(t, heir, notify.Acquired)

	done(t, frozen)
	if got := client.Get(t.Context(), prefix+"processed:"+mark).Val(); got == "done" {
		t.Error("the frozen owner wrote done over the heir's claim")
	}
	done(t, heir)
	claim(t, frozen, notify.AlreadySent)
}

func TestDoneHoldsEvenWhenTheLeaseRanOutUnnoticed(t *testing.T) {
	t.Parallel()
	client, prefix := open(t)
	slow := redisstore.NewClaimStore(client, prefix, time.Millisecond, slog.New(slog.DiscardHandler))
	claim(t, slow, notify.Acquired)
	waitGone(t, client, prefix+"processed:"+mark)
	done(t, slow)
	claim(t, redisstore.NewClaimStore(client, prefix, time.Minute, slog.New(slog.DiscardHandler)), notify.AlreadySent)
}

func TestTheNextIsClaimedInTheStepThatEndsTheLast(t *testing.T) {
	t.Parallel()
	client, prefix := open(t)
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
			t.Errorf("done with %s, claiming %s: state %d, %v; want %d", step.done, step.next, got.State, err, step.want)
		}
		if value := client.Get(t.Context(), prefix+"processed:"+step.done).Val(); value != "done" {
			t.Errorf("the mark of %s is %q", step.done, value)
		}
	}
	if got, err := other.Acquire(t.Context(), "b"); err != nil || got.State != notify.AlreadySent {
		t.Errorf("another finds b in state %d, %v", got.State, err)
	}
}

func TestAClaimSaysWhatIsKnownOfRefusalsAndOfOthers(t *testing.T) {
	t.Parallel()
	client, prefix := open(t)
	c := redisstore.NewClaimStore(client, prefix, time.Minute, slog.New(slog.DiscardHandler))
	first := claim(t, c, notify.Acquired)
	if off := time.Since(first.ClaimedAt); off < -time.Minute || off > time.Minute {
		t.Errorf("claimed at %v, %v ago", first.ClaimedAt, off)
	}
	if !first.RejectedSince.IsZero() || !first.LastDelivery.IsZero() {
		t.Errorf("nothing was refused or sent, and the claim says %+v", first)
	}
	since := first.ClaimedAt.Add(-time.Hour)
	if err := c.RecordRejection(t.Context(), mark, since); err != nil {
		t.Fatal(err)
	}
	if _, err := c.RecordSent(t.Context(), "another", ""); err != nil {
		t.Fatal(err)
	}
	for name, found := range map[string]notify.Claim{
		"claim": claim(t, c, notify.Acquired),
		"done":  next(t, c),
	} {
		if !found.RejectedSince.Equal(since) {
			t.Errorf("%s: refused since %v, want %v", name, found.RejectedSince, since)
		}
		if found.LastDelivery.Before(first.ClaimedAt) || found.LastDelivery.After(found.ClaimedAt) {
			t.Errorf("%s: another sent at %v, not from %v to %v", name, found.LastDelivery, first.ClaimedAt, found.ClaimedAt)
		}
	}
	if ttl := client.PTTL(t.Context(), prefix+"notification:refused:"+mark).Val(); ttl <= 4*time.Minute || ttl > 5*time.Minute {
		t.Errorf("a refusal lives %v, want 5 minutes", ttl)
	}
}

// next is the claim on the mark that is made along with another's done.
func next(t *testing.T, c *redisstore.ClaimStore) notify.Claim {
	t.Helper()
	found, err := c.RecordSent(t.Context(), "another", mark)
	if err != nil || found.State != notify.Acquired {
		t.Fatalf("state %d, %v", found.State, err)
	}
	return found
}

func TestOffsetsMoveForwardOnly(t *testing.T) {
	t.Parallel()
	client, prefix := open(t)
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
		{"bound to its topic", func() error { return offsets.Bind(t.Context(), 3, "id a") }, 1_000},
		{"a zombie of an earlier topic", func() error { return offsets.Advance(t.Context(), 3, 2_000, "id before a") }, 1_000},
		{"another partition", func() error { return offsets.Advance(t.Context(), 4, 5_000, "id a") }, 1_000},
		{"forgetting what it no longer is", func() error { return offsets.Clear(t.Context(), 3, 100) }, 1_000},
		{"forgetting what it is", func() error { return offsets.Clear(t.Context(), 3, 1_000) }, 0},
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
