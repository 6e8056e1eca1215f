package redisstore_test

import (
	"context"
	"fmt"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"example.com/todo/platform/testenv"
	"example.com/todo/todo-service/internal/listcache"
	"example.com/todo/todo-service/internal/redisstore"
	"example.com/todo/todo-service/internal/task"
)

// A killed Redis restarts from its last snapshot, with the lists and the generations from
// before invalidations that it had confirmed.
func TestListCacheServesNoListFromAnOlderSnapshot(t *testing.T) {
	t.Parallel()
	for _, owners := range [][]task.Owner{{0}, {7, 8, 9}, {7, 0}} {
		for name, refuses := range map[string][]string{"takes writes": nil, "refuses writes at first": {"--min-replicas-to-write", "1"}} {
			t.Run(fmt.Sprint(name, " of ", owners), func(t *testing.T) {
				t.Parallel()
				restoreSnapshot(t, owners, refuses)
			})
		}
	}
}

func restoreSnapshot(t *testing.T, owners []task.Owner, refuses []string) {
	addr, dir := testenv.FreeAddr(t), t.TempDir()
	before := startRedisWithData(t, dir, addr)
	s := open(t, addr)
	s.pipeline.ExtendTimeout()
	other := openDatabase(t, s, 1)
	content := "old"
	read := func(when string, caches map[string]*redisstore.ListCache) {
		t.Helper()
		for _, owner := range owners {
			want := fmt.Sprint(content, owner)
			query := func(context.Context) (listcache.Entry, error) {
				return listcache.Entry{Body: []byte(want), ETag: `"` + want + `"`}, nil
			}
			for range 3 {
				for whose, cache := range caches {
					if list, err := cache.Load(t.Context(), owner, query); err != nil || string(list.Body) != want {
						t.Errorf("%s: owner %d at %s read %q, error %v, want %q", when, owner, whose, list.Body, err, want)
					}
				}
			}
		}
	}
	caches := map[string]*redisstore.ListCache{
		"a process from before":         redisstore.NewListCache(s.pipeline, s.prefix, s.log(), s.reg),
		"a process on another database": redisstore.NewListCache(other, s.prefix, s.log(), nil),
	}
	read("before", caches)
	if err := s.Save(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	content = "new"
	for _, cache := range caches {
		for _, owner := range owners {
			if err := cache.Invalidate(t.Context(), owner, ""); err != nil {
				t.Fatal(err)
			}
		}
	}

	before.kill()
	startRedisWithData(t, dir, addr, refuses...)
	testenv.Eventually(t, "Redis has loaded the snapshot", func() bool { return s.Ping(t.Context()).Err() == nil })
	for _, owner := range owners {
		if restored, err := s.Get(t.Context(), s.prefix+listKey(owner)).Result(); restored != fmt.Sprint("old", owner) {
			t.Fatalf("Redis came back with %q, error %v, want what the snapshot had", restored, err)
		}
	}
	caches["a new process"] = redisstore.NewListCache(s.replica(), s.prefix, s.log(), nil)
	read("afterwards", caches)
	if err := s.ConfigSet(t.Context(), "min-replicas-to-write", "0").Err(); err != nil {
		t.Fatal(err)
	}
	hits := s.count(t, "cache_hits_total")
	read("later", caches)
	if got := s.count(t, "cache_hits_total"); got < hits+len(owners) {
		t.Errorf("%d hits of %d owners: lists are no longer cached", got-hits, len(owners))
	}
}

// openDatabase returns an AutoPipeline to another database of the same Redis.
func openDatabase(t *testing.T, s *testRedis, number int) *redisstore.AutoPipeline {
	t.Helper()
	options := *s.UniversalClient.(*goredis.Client).Options()
	options.DB = number
	client := goredis.NewClient(&options)
	t.Cleanup(func() { client.Close() })
	pipeline := redisstore.NewAutoPipeline(client)
	pipeline.ExtendTimeout()
	return pipeline
}
