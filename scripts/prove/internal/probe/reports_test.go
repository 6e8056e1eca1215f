package probe_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/todo/scripts/prove/internal/history"
	"example.com/todo/scripts/prove/internal/probe"
	"example.com/todo/scripts/prove/internal/signin"
)

// signInServer is a fake replica of todo-service and stats-service. The token of a session is the user's
// e-mail, which begins with the id.
type signInServer struct {
	mu       sync.Mutex
	sessions map[string]bool
	busy     map[string]bool // the paths that it has answered with 503 once
}

func (s *signInServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.URL.Path == "/sessions" {
		var body struct{ Email string }
		_ = json.NewDecoder(r.Body).Decode(&body)
		s.sessions[body.Email] = true
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, `{"token":%q,"user":{"id":%s}}`, body.Email, body.Email[:1])
		return
	}
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !s.sessions[token] {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if !s.busy[r.URL.Path] {
		s.busy[r.URL.Path] = true
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	switch r.URL.String() {
	case "/stats?days=366":
		fmt.Fprintf(w, `{"completed_total":%[1]s,"by_day":[{"day":"2026-01-15","completed":%[1]s}],"lag":0,"complete":true}`, token[:1])
	case "/stats?days=366&scope=all":
		if !strings.Contains(token, "admin") {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		fmt.Fprint(w, `{"completed_total":42,"by_day":[],"lag":0,"complete":true}`)
	case "/tasks/counts":
		fmt.Fprintf(w, `{"total":1%[1]s,"open":1,"done":%[1]s}`, token[:1])
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func TestReportsAreRequestedWithASessionAndAgainAfterItHasEnded(t *testing.T) {
	t.Parallel()
	service := &signInServer{sessions: map[string]bool{}, busy: map[string]bool{}}
	server := httptest.NewServer(service)
	t.Cleanup(server.Close)
	replicas := []string{server.Listener.Addr().String(), server.Listener.Addr().String()}
	p := &probe.Probe{Config: probe.Config{
		Todo: replicas, Stats: replicas, Admin: signin.NewUser("1-admin", "password"),
		Users: []*signin.User{signin.NewUser("2-ann", "password"), signin.NewUser("3-bob", "password")},
	}}
	ofUser := func(id int64, replica int) history.UserReport {
		return history.UserReport{
			User:        id,
			StatsReport: history.StatsReport{Replica: replica, Total: id, ByDay: map[string]int64{"2026-01-15": id}, Complete: true},
			Tasks:       history.Counts{Total: 10 + id, Open: 1, Done: id},
		}
	}
	for _, when := range []string{"at first", "after the sessions have ended"} {
		all, err := p.StatsReports(t.Context())
		if err != nil || len(all) != 2 || all[1].Total != 42 {
			t.Errorf("%s: %+v, %v", when, all, err)
		}
		got, err := p.UserReports(t.Context())
		if err != nil {
			t.Errorf("%s: %v", when, err)
		}
		if diff := cmp.Diff([]history.UserReport{ofUser(2, 1), ofUser(3, 1), ofUser(2, 2), ofUser(3, 2)}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", when, diff)
		}
		service.mu.Lock()
		clear(service.sessions)
		service.mu.Unlock()
	}
}
