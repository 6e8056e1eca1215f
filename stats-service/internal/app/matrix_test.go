package app_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"example.com/todo/contracts/openapi"
	"example.com/todo/platform/openapitest"
	"example.com/todo/platform/ops"
	"example.com/todo/platform/session"
	"example.com/todo/platform/session/sessiontest"
	"example.com/todo/platform/testenv"
	"example.com/todo/stats-service/internal/app"
)

// routes has every operation of the OpenAPI document, and the scope all, whose clients are
// others.
var routes = map[string]sessiontest.Access{
	"GET /stats":           sessiontest.Personal,
	"GET /stats?scope=all": sessiontest.AdminOnly,
	"GET /openapi.yaml":    sessiontest.Open,
}

// matrix is a service with sign-in, and users of each kind in its Redis. A cell of the
// matrix is a request of one kind of client to one route.
type matrix struct {
	cfg      app.Config
	redis    *goredis.Client
	sessions *session.Store
}

var users = map[sessiontest.Credential]session.User{
	sessiontest.OfOther: {ID: 8, Role: "user"},
	sessiontest.OfAdmin: {ID: 9, Role: "admin"},
}

// counted is in the statistics of the owner, who has completed three tasks. No other user
// has completed any.
const counted = `"completed_total":3,`

func newMatrix(t *testing.T) *matrix {
	t.Helper()
	cfg := settingsWithServers(t)
	cfg.Auth.Mode = "on"
	client := goredis.NewClient(&goredis.Options{Addr: cfg.Redis.Addr})
	t.Cleanup(func() { client.Close() })
	sessionCfg := session.Defaults()
	sessionCfg.KeyPrefix = cfg.Redis.KeyPrefix
	serve(t, cfg)
	testenv.Eventually(t, "ready", func() bool { return ops.Probe(t.Context(), cfg.Ops) == nil })
	m := &matrix{cfg, client, session.NewStore(client, sessionCfg)}
	sendCompletionsBy(t, cfg, `"user_id":7,`, "e1", "e2", "e3")
	token := m.credential(t, sessiontest.OfOwner)
	testenv.Eventually(t, "the completions are counted", func() bool {
		_, r := getAs(t, cfg, token, "/stats")
		return r.CompletedTotal == 3
	})
	return m
}

// credential returns a token.
func (m *matrix) credential(t *testing.T, of sessiontest.Credential) string {
	t.Helper()
	switch of {
	case sessiontest.Nothing:
		return ""
	case sessiontest.JWT:
		return "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiI3In0.c2lnbmF0dXJl"
	}
	user, found := users[of]
	if !found {
		user = session.User{ID: 7, Role: "user"}
	}
	token, started, err := m.sessions.Create(t.Context(), user)
	switch {
	case err != nil:
	case of == sessiontest.Expired:
		key := fmt.Sprintf("%ssession:%x", m.cfg.Redis.KeyPrefix, sha256.Sum256([]byte(token)))
		err = m.redis.HSet(t.Context(), key, "created_at", 1).Err()
	case of == sessiontest.Revoked, of == sessiontest.OfDisabled: // disabling ends the sessions
		err = m.sessions.Revoke(t.Context(), user.ID, started.ID)
	}
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestEveryRouteGivesEveryClientWhatItMayHave(t *testing.T) {
	t.Parallel()
	m := newMatrix(t)
	document, err := openapitest.Parse(openapi.Stats)
	if err != nil {
		t.Fatal(err)
	}
	operations := document.Operations()
	for _, name := range operations {
		if _, found := routes[name]; !found {
			t.Errorf("%s: say in routes which clients it serves", name)
		}
	}
	cells := 0
	for name, access := range routes {
		if documented, _, _ := strings.Cut(name, "?"); !slices.Contains(operations, documented) {
			t.Errorf("%s is in no document", name)
		}
		_, target, _ := strings.Cut(name, " ")
		for _, client := range sessiontest.Clients() {
			for _, method := range []string{http.MethodGet, http.MethodHead} {
				m.checkCell(t, method, target, access, client)
				cells++
			}
		}
	}
	t.Logf("%d cells", cells)
}

// checkCell sends the request of a cell.
func (m *matrix) checkCell(t *testing.T, method, target string, access sessiontest.Access, client sessiontest.Client) {
	t.Helper()
	token := m.credential(t, client.Credential)
	r, err := http.NewRequestWithContext(t.Context(), method, "http://"+m.cfg.HTTP.Addr+target, nil)
	if err != nil {
		t.Fatal(err)
	}
	client.SetCredential(r, token)
	var secrets []string
	if token != "" {
		secrets = append(secrets, token)
	}
	isServed := client.WantStatus(access, method) == http.StatusOK
	seesCount := isServed && access != sessiontest.Open && (client.Credential == sessiontest.OfOwner || access == sessiontest.AdminOnly)
	if !seesCount {
		secrets = append(secrets, counted)
	}
	status, body := http.StatusServiceUnavailable, ""
	for range 20 { // a busy machine may answer 503
		response, err := checkingClient(t).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(response.Body)
		response.Body.Close()
		status, body = response.StatusCode, string(text)
		if status == http.StatusServiceUnavailable {
			continue
		}
		if err = errors.Join(err, client.Check(access, response, body, secrets...)); err != nil {
			t.Errorf("%s %s by %s: %v", method, target, client.Name, err)
		}
		break
	}
	if status == http.StatusServiceUnavailable || seesCount && method == http.MethodGet && !strings.Contains(body, counted) {
		t.Errorf("%s %s by %s: %d %s", method, target, client.Name, status, body)
	}
}
