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

func TestAMarkIsSwappedOnlyIfItIsTheOneExpected(t *testing.T) {
	t.Parallel()
	cfg := redis.Defaults()
	cfg.Addr = testenv.RequireEnv(t, "TEST_REDIS_ADDR")
	cfg.Timeout = 5 * time.Second
	client := redis.Open(cfg)
	t.Cleanup(func() { client.Close() })
	prefix := "test-" + rand.Text() + ":"
	marks := redis.NewQuarantineStore(client, prefix, "readers", slog.New(slog.DiscardHandler))
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
		swapped, err := marks.CompareAndSwap(t.Context(), 3, step.old, step.next)
		if err != nil || swapped != step.swapped {
			t.Fatalf("%q for %q: %v, %v; want %v", step.next, step.old, swapped, err, step.swapped)
		}
		if mark, err := marks.Load(t.Context(), 3); err != nil || mark != step.then {
			t.Fatalf("%q for %q: then the mark is %q, %v; want %q", step.next, step.old, mark, err, step.then)
		}
		if mark, err := marks.Load(t.Context(), 4); err != nil || mark != "" {
			t.Fatalf("another partition's mark is %q, %v", mark, err)
		}
	}
	if n, err := client.Exists(context.WithoutCancel(t.Context()), prefix+"inflight:readers").Result(); err != nil || n != 0 {
		t.Errorf("the hash without marks is there: %d, %v", n, err)
	}
}
