package redis_test

import (
	"context"
	"crypto/rand"
	"log/slog"
	"testing"
	"time"

	"example.com/todo/platform/kafka/consumer/quarantine"
	"example.com/todo/platform/redis"
	"example.com/todo/platform/testenv"
)

var _ quarantine.Store = (*redis.QuarantineStore)(nil)

func TestCompareAndSwapReplacesOnlyTheExpectedMarker(t *testing.T) {
	t.Parallel()
	client := open(t, testenv.RequireEnv(t, "TEST_REDIS_ADDR"), 5*time.Second)
	prefix := "test-" + rand.Text() + ":"
	store := redis.NewQuarantineStore(client, prefix, "readers", slog.New(slog.DiscardHandler))
	for _, step := range []struct {
		old, next string
		swapped   bool
		then      string
	}{
		{"", "", true, ""},
		{"first", "second", false, ""},
		{"", "first", true, "first"},
		{"", "second", false, "first"},
		{"other", "second", false, "first"},
		{"first", "second", true, "second"},
		{"first", "", false, "second"},
		{"second", "", true, ""},
	} {
		swapped, err := store.CompareAndSwap(t.Context(), 3, step.old, step.next)
		if err != nil || swapped != step.swapped {
			t.Fatalf("%q for %q: %v, %v; want %v", step.next, step.old, swapped, err, step.swapped)
		}
		if marker, err := store.Load(t.Context(), 3); err != nil || marker != step.then {
			t.Fatalf("%q for %q: then the marker is %q, %v; want %q", step.next, step.old, marker, err, step.then)
		}
		if marker, err := store.Load(t.Context(), 4); err != nil || marker != "" {
			t.Fatalf("another partition's marker is %q, %v", marker, err)
		}
	}
	if n, err := client.Exists(context.WithoutCancel(t.Context()), prefix+"inflight:readers").Result(); err != nil || n != 0 {
		t.Errorf("the hash without markers exists: %d, %v", n, err)
	}
}
