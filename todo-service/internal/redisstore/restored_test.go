package redisstore_test

import (
	"context"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"example.com/todo/platform/testenv"
	"example.com/todo/todo-service/internal/edge"
	"example.com/todo/todo-service/internal/redisstore"
)

// A Redis that was killed comes back with its last snapshot: with the list and the
// generation as they were before an invalidation that it had confirmed.
func TestARedisThatComesBackWithAnOlderListDoesNotServeIt(t *testing.T) {
	t.Parallel()
	addr, dir := testenv.Addr(t), t.TempDir()
	before := startRedisIn(t, dir, addr)
	s := open(t, addr)
	s.shuttle.BePatient()
	content := "old"
	query := func(context.Context) (edge.CachedList, error) {
		return edge.CachedList{Body: []byte(content), ETag: `"` + content + `"`}, nil
	}
	one := redisstore.NewListCache(s.shuttle, s.prefix, s.log(), s.reg)
	for range 2 {
		if _, err := one.Load(t.Context(), query); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Save(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	content = "new"
	if err := one.Invalidate(t.Context()); err != nil {
		t.Fatal(err)
	}

	before.kill()
	startRedisIn(t, dir, addr)
	testenv.Await(t, "Redis has loaded the snapshot", func() bool { return s.Ping(t.Context()).Err() == nil })
	if restored, err := s.Get(t.Context(), s.prefix+"tasks:all").Result(); restored != "old" {
		t.Fatalf("Redis came back with %q, error %v, want what the snapshot had", restored, err)
	}
	another := redisstore.NewListCache(s.replica(), s.prefix, s.log(), prometheus.NewRegistry())
	for round := range 3 {
		for name, cache := range map[string]*redisstore.ListCache{"a process of before": one, "a new one": another} {
			list, err := cache.Load(t.Context(), query)
			if err != nil || string(list.Body) != "new" {
				t.Errorf("round %d: %s read %q, error %v, want the new list", round, name, list.Body, err)
			}
		}
	}
	if hits := s.count(t, "cache_hits_total"); hits < 2 {
		t.Errorf("%d hits: the list is not cached any more", hits)
	}
}
