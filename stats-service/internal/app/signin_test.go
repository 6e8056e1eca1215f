package app_test

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"example.com/todo/platform/ops"
	"example.com/todo/platform/session"
	"example.com/todo/platform/testenv"
	"example.com/todo/platform/testenv/netproxy"
	"example.com/todo/stats-service/internal/app"
	"example.com/todo/stats-service/internal/stats"
)

// getAs requests the target with the token, and returns the status and, with 200, the report.
func getAs(t *testing.T, cfg app.Config, token, target string) (status int, r stats.Report) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+cfg.HTTP.Addr+target, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := checkingClient(t).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusOK && response.Header.Get("Content-Type") == "application/json" {
		if err := json.NewDecoder(response.Body).Decode(&r); err != nil {
			t.Fatal(err)
		}
	}
	return response.StatusCode, r
}

// answerAs is getAs, repeated while a busy machine answers 503: a check waits 40 ms for Redis.
func answerAs(t *testing.T, cfg app.Config, token, target string) (status int) {
	t.Helper()
	for range 20 {
		if status, _ = getAs(t, cfg, token, target); status != http.StatusServiceUnavailable {
			break
		}
	}
	return status
}

func TestStatisticsWithSignIn(t *testing.T) {
	t.Parallel()
	cfg := settingsWithServers(t)
	cfg.Auth.Mode = "on"
	cfg.HTTP.CORSOrigins = []string{"https://app.example.com"}
	client := goredis.NewClient(&goredis.Options{Addr: cfg.Redis.Addr})
	t.Cleanup(func() { client.Close() })
	sessionCfg := session.Defaults()
	sessionCfg.KeyPrefix = cfg.Redis.KeyPrefix
	sessions := session.NewStore(client, sessionCfg)
	signIn := func(user session.User) string {
		t.Helper()
		token, _, err := sessions.Create(t.Context(), user)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	ann, bob, admin := signIn(session.User{ID: 7, Role: "member"}), signIn(session.User{ID: 8, Role: "member"}), signIn(session.User{ID: 9, Role: "admin"})

	proxy, err := netproxy.Listen(t.Context(), cfg.Redis.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = proxy.Close() })
	direct := cfg
	cfg.Redis.Addr = proxy.Addr()
	serve(t, cfg)
	testenv.Eventually(t, "ready", func() bool { return ops.Probe(t.Context(), cfg.Ops) == nil })
	sendCompletionsBy(t, cfg, `"user_id":7,`, "e1", "e2")
	sendCompletionsBy(t, cfg, `"user_id":8,`, "e3")
	sendCompletions(t, cfg, "e4")
	expect := func(token, target string, want int64) {
		t.Helper()
		testenv.Eventually(t, "the counts of "+target, func() bool {
			status, r := getAs(t, cfg, token, target)
			return status == http.StatusOK && r.CompletedTotal == want && r.CompletedToday == want && r.Complete && r.Lag != nil && *r.Lag == 0
		})
	}
	expect(admin, "/stats?scope=all", 4)
	expect(ann, "/stats", 2)
	expect(bob, "/stats", 1)
	expect(admin, "/stats", 0)
	if got := metrics(t, cfg); !strings.Contains(got, "\nstats_completed_today_tasks 4\n") {
		t.Error("stats_completed_today_tasks is not that of all users")
	}
	if err := app.Rebuild(t.Context(), direct, false); err != nil {
		t.Fatal(err)
	}
	expect(ann, "/stats", 2)
	testenv.Eventually(t, "the hash of the rebuild under its name", func() bool {
		generation := client.HGet(t.Context(), cfg.Redis.KeyPrefix+"stats:offsets", "generation").Val()
		hash := client.HGetAll(t.Context(), cfg.Redis.KeyPrefix+"stats:user:7").Val()
		return hash["completed"] == "2" && hash["generation"] == generation
	})
	expectOnlyReads(t, cfg, client, ann)

	ended := signIn(session.User{ID: 7, Role: "member"})
	if err := sessions.RevokeAll(t.Context(), 8, ""); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		token, target string
		status        int
	}{
		"no token":                {"", "/stats", http.StatusUnauthorized},
		"a revoked session":       {bob, "/stats", http.StatusUnauthorized},
		"another session":         {ended, "/stats", http.StatusOK},
		"all, for a member":       {ann, "/stats?scope=all", http.StatusForbidden},
		"the document":            {"", "/openapi.yaml", http.StatusOK},
		"a token in the URL, too": {ann, "/stats?token=" + ann, http.StatusBadRequest},
	} {
		if status := answerAs(t, cfg, test.token, test.target); status != test.status {
			t.Errorf("%s: %d, want %d", name, status, test.status)
		}
	}

	proxy.SetMode(netproxy.Stall)
	start := time.Now()
	if status, _ := getAs(t, cfg, ann, "/stats"); status != http.StatusServiceUnavailable {
		t.Errorf("while Redis is frozen: %d, want 503", status)
	}
	t.Logf("503 after %v while Redis was frozen", time.Since(start).Round(time.Millisecond))
	proxy.SetMode(netproxy.Forward)
	expect(ann, "/stats", 2)
}

// expectOnlyReads wants that a request does not use the session of the token, and that the
// response is for pages of the listed origin.
func expectOnlyReads(t *testing.T, cfg app.Config, client *goredis.Client, token string) {
	t.Helper()
	key := cfg.Redis.KeyPrefix + fmt.Sprintf("session:%x", sha256.Sum256([]byte(token)))
	if err := client.HSet(t.Context(), key, "last_seen", 1).Err(); err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+cfg.HTTP.Addr+"/stats", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Cookie", "session="+token)
	request.Header.Set("Origin", "https://app.example.com")
	var response *http.Response
	for range 20 { // a busy machine may answer 503
		if response, err = checkingClient(t).Do(request); err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusServiceUnavailable {
			break
		}
	}
	if got := response.Header.Get("Access-Control-Allow-Credentials"); response.StatusCode != http.StatusOK || got != "true" {
		t.Errorf("by cookie of a page: %d, Access-Control-Allow-Credentials %q", response.StatusCode, got)
	}
	if got := client.HGet(t.Context(), key, "last_seen").Val(); got != "1" {
		t.Errorf("last_seen is %q after a request for statistics", got)
	}
}
