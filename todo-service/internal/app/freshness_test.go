package app

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"example.com/todo/platform/config"
	"example.com/todo/platform/testenv"
	"example.com/todo/todo-service/internal/pgstore"
	"example.com/todo/todo-service/internal/task"
)

// withPostgresAndRedis rerounds the settings of a service without Kafka.
func withPostgresAndRedis(t *testing.T) Config {
	t.Helper()
	cfg := withoutServers(t)
	cfg.Postgres.DSN = config.Secret(migratedDatabase(t).String())
	cfg.Redis.Addr, cfg.Redis.KeyPrefix = testenv.RequireEnv(t, "TEST_REDIS_ADDR"), fmt.Sprintf("fresh-%016x:", rand.Uint64())
	cfg.RateLimit.Requests = 1 << 30
	return cfg
}

// getList reads the list, and reports whether it came from the cache.
func getList(t *testing.T, client *http.Client, cfg Config) (body string, hit bool) {
	t.Helper()
	resp, err := client.Get("http://" + cfg.HTTP.Addr + "/tasks")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	read, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("GET /tasks: %s, %v", resp.Status, err)
	}
	return string(read), strings.HasSuffix(resp.Header.Get("Cache-Status"), "; hit")
}

// The reads of the one client meet the live feed's forwarder at work.
func TestAClientThatReadsTwiceAfterItsWriteMissesTheCacheOnce(t *testing.T) {
	t.Parallel()
	cfg := withPostgresAndRedis(t)
	serve(t, cfg)
	awaitReady(t, cfg)
	client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}}
	defer client.CloseIdleConnections()
	failures := func() int { return readMetric("http://"+cfg.Ops.Addr, "todo_cache_errors_total") }

	const rounds = 200
	misses, slow := 0, 0
	for done := 0; done < rounds; {
		before := failures()
		title := fmt.Sprintf("round %d, slow %d", done, slow)
		resp, err := client.Post("http://"+cfg.HTTP.Addr+"/tasks", "application/json", strings.NewReader(fmt.Sprintf(`{"title":%q}`, title)))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		first, hit := getList(t, client, cfg)
		if hit || !strings.Contains(first, title) {
			t.Fatalf("round %d: the first read after the write is a hit (%t) or lacks it", done, hit)
		}
		_, hit = getList(t, client, cfg)
		// A round in which Redis timed out (40 ms, on a busy machine) is repeated.
		if failures() != before && slow < rounds {
			slow++
			continue
		}
		done++
		if !hit {
			misses++
		}
	}
	t.Logf("%d of %d second reads missed; %d rounds in which Redis was slow were repeated", misses, rounds, slow)
	if misses > 1 {
		t.Errorf("%d of %d second reads missed, want 1 at most", misses, rounds)
	}
}

// Only the live feed's forwarder learns of a writer that crashed between commit and
// invalidation.
func TestAChangeIsListedWhenItsWriterCrashedBeforeTheInvalidation(t *testing.T) {
	t.Parallel()
	cfg := withPostgresAndRedis(t)
	serve(t, cfg)
	awaitReady(t, cfg)
	testenv.Eventually(t, "the list is cached", func() bool { _, hit := getList(t, http.DefaultClient, cfg); return hit })
	dsn, err := url.Parse(cfg.Postgres.DSN.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	crashed := task.NewService(pgstore.New(openDatabase(t, dsn)), time.Now, func(context.Context, task.Owner, string) {})
	if _, err := crashed.Create(t.Context(), task.NoOwner, task.Draft{Title: "of a crashed writer"}); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, "the change is in the list", func() bool {
		body, _ := getList(t, http.DefaultClient, cfg)
		return strings.Contains(body, "of a crashed writer")
	})
}
