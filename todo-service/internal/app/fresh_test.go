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

// connected are the settings of a service with PostgreSQL and Redis, without Kafka.
func connected(t *testing.T) Config {
	t.Helper()
	cfg := alone(t)
	cfg.Postgres.DSN = config.Secret(migrated(t).String())
	cfg.Redis.Addr, cfg.Redis.KeyPrefix = testenv.RequireEnv(t, "TEST_REDIS_ADDR"), fmt.Sprintf("fresh-%016x:", rand.Uint64())
	cfg.RateLimit.Requests = 1 << 30
	return cfg
}

// list reads the list, and says whether it came from the cache.
func list(t *testing.T, client *http.Client, cfg Config) (body string, hit bool) {
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

// One client on one connection, whose reads come while the live pass is under way.
func TestAClientThatWritesAndReadsAtOnceMissesOnce(t *testing.T) {
	t.Parallel()
	cfg := connected(t)
	_, stop := serve(t, cfg)
	testenv.Eventually(t, "ready", func() bool { return answered("http://"+cfg.Ops.Addr+"/readyz") == http.StatusOK })
	client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}}
	defer client.CloseIdleConnections()
	failures := func() int { return metric("http://"+cfg.Ops.Addr, "todo_cache_errors_total") }

	const turns = 200
	missed, slow := 0, 0
	for made := 0; made < turns; {
		before := failures()
		title := fmt.Sprintf("turn %d, slow %d", made, slow)
		resp, err := client.Post("http://"+cfg.HTTP.Addr+"/tasks", "application/json", strings.NewReader(fmt.Sprintf(`{"title":%q}`, title)))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		first, hit := list(t, client, cfg)
		if hit || !strings.Contains(first, title) {
			t.Fatalf("turn %d: the first read after the write is a hit (%t) or lacks it", made, hit)
		}
		_, hit = list(t, client, cfg)
		// A machine so busy that Redis does not answer within 40 ms proves nothing.
		if failures() != before && slow < turns {
			slow++
			continue
		}
		made++
		if !hit {
			missed++
		}
	}
	t.Logf("%d of %d second reads missed; %d turns in which Redis was slow were repeated", missed, turns, slow)
	if missed > 1 {
		t.Errorf("%d of %d second reads missed, want 1 at most", missed, turns)
	}
	if err := stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
}

// Of a writer that died between the commit and the invalidation nobody hears but
// the live pass.
func TestAChangeWhoseWriterDiedIsSeen(t *testing.T) {
	t.Parallel()
	cfg := connected(t)
	_, stop := serve(t, cfg)
	testenv.Eventually(t, "ready", func() bool { return answered("http://"+cfg.Ops.Addr+"/readyz") == http.StatusOK })
	testenv.Eventually(t, "the list is cached", func() bool { _, hit := list(t, http.DefaultClient, cfg); return hit })
	dsn, err := url.Parse(cfg.Postgres.DSN.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	dead := task.NewService(pgstore.New(open(t, dsn)), time.Now, func(context.Context, string) {})
	if _, err := dead.Create(t.Context(), task.Draft{Title: "of a dead writer"}); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, "the change is in the list", func() bool {
		body, _ := list(t, http.DefaultClient, cfg)
		return strings.Contains(body, "of a dead writer")
	})
	if err := stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
}
