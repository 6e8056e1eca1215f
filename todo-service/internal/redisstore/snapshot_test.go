package redisstore_test

import (
	"context"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"example.com/todo/platform/testenv"
	"example.com/todo/todo-service/internal/listcache"
	"example.com/todo/todo-service/internal/redisstore"
)

// A killed Redis restarts from its last snapshot, with the list and the generation from
// before an invalidation that it had confirmed.
func TestListCacheServesNoListFromAnOlderSnapshot(t *testing.T) {
	t.Parallel()
	for name, refuses := range map[string][]string{"takes writes": nil, "refuses writes at first": {"--min-replicas-to-write", "1"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr, dir := testenv.FreeAddr(t), t.TempDir()
			before := startRedisWithData(t, dir, addr)
			s := open(t, addr)
			s.pipeline.ExtendTimeout()
			other := openDatabase(t, s, 1)
			content := "old"
			query := func(context.Context) (listcache.Entry, error) {
				return listcache.Entry{Body: []byte(content), ETag: `"` + content + `"`}, nil
			}
			read := func(when string, caches map[string]*redisstore.ListCache) {
				t.Helper()
				for range 3 {
					for whose, cache := range caches {
						if list, err := cache.Load(t.Context(), 0, query); err != nil || string(list.Body) != content {
							t.Errorf("%s: %s read %q, error %v, want the %s list", when, whose, list.Body, err, content)
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
				invalidate(t, cache, "")
			}

			before.kill()
			startRedisWithData(t, dir, addr, refuses...)
			testenv.Eventually(t, "Redis has loaded the snapshot", func() bool { return s.Ping(t.Context()).Err() == nil })
			if restored, err := s.Get(t.Context(), s.prefix+"tasks:all").Result(); restored != "old" {
				t.Fatalf("Redis came back with %q, error %v, want what the snapshot had", restored, err)
			}
			caches["a new process"] = redisstore.NewListCache(s.replica(), s.prefix, s.log(), nil)
			read("afterwards", caches)
			if err := s.ConfigSet(t.Context(), "min-replicas-to-write", "0").Err(); err != nil {
				t.Fatal(err)
			}
			hits := s.count(t, "cache_hits_total")
			read("later", caches)
			if s.count(t, "cache_hits_total") == hits {
				t.Error("the list is no longer cached")
			}
		})
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
