package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// requestID is what two problems about the same differ in.
var requestID = regexp.MustCompile(`"request_id":"[^"]*"`)

// sessionReturn is the time after the return of Redis in which requests with a session succeed again.
const sessionReturn = 5 * time.Second

// requireSignIn skips the test if the system has no sign-in.
func requireSignIn(t *testing.T) {
	t.Helper()
	if !secure {
		t.Skip("the system has no sign-in; E2E_SECURE=1 runs this")
	}
}

// sessionRoute is a request that needs a session, of a service's listener.
type sessionRoute struct{ variable, method, path, body string }

// sessionRoutes returns routes of both services. id is a task.
func sessionRoutes(id int64) []sessionRoute {
	task := fmt.Sprintf("/tasks/%d", id)
	return []sessionRoute{
		{"TODO_HTTP_ADDR", http.MethodGet, "/tasks", ""},
		{"TODO_HTTP_ADDR", http.MethodPost, "/tasks", `{"title":"Of no session"}`},
		{"TODO_HTTP_ADDR", http.MethodGet, task, ""},
		{"TODO_HTTP_ADDR", http.MethodPatch, task, `{"priority":9}`},
		{"TODO_HTTP_ADDR", http.MethodGet, task + "/events", ""},
		{"TODO_HTTP_ADDR", http.MethodDelete, task, ""},
		{"TODO_HTTP_ADDR", http.MethodGet, "/events", ""},
		{"TODO_HTTP_ADDR", http.MethodGet, "/sessions", ""},
		{"TODO_HTTP_ADDR", http.MethodGet, "/users/me", ""},
		{"STATS_HTTP_ADDR", http.MethodGet, "/stats", ""},
	}
}

func (r sessionRoute) String() string { return r.method + " " + r.path }

// sendOnce sends the request as the user, and returns the answer whatever it is.
func (r sessionRoute) sendOnce(t *testing.T, u user) answer {
	t.Helper()
	return request(t, system.http, r.method, system.url(r.variable, r.path), r.body, append(u.header(), "X-Forwarded-For", unseenAddr())...)
}

// expectRefusal expects 401 for the user of a session that does not exist.
func (r sessionRoute) expectRefusal(t *testing.T, u user) {
	t.Helper()
	a := requestAs(t, u, r.method, system.url(r.variable, r.path), r.body, "X-Forwarded-For", unseenAddr())
	checkProblem(t, a, http.StatusUnauthorized, "")
	if a.header.Get("WWW-Authenticate") != "Bearer" {
		t.Errorf("%s: WWW-Authenticate %q", r, a.header.Get("WWW-Authenticate"))
	}
}

func TestRequestsWithoutAValidSessionAreRefused(t *testing.T) {
	requireSignIn(t)
	task := create(t, "Not for strangers")
	client := newSpecClient(t)
	for _, token := range []string{"", strings.Repeat("A", 43), "malformed"} {
		client.user = user{token: token}
		for _, route := range sessionRoutes(task.ID) {
			route.expectRefusal(t, client.user)
		}
		if _, err := client.call(t, "GetTask", fmt.Sprintf("id: %d", task.ID)); status.Code(err) != codes.Unauthenticated {
			t.Errorf("gRPC with the token %q: %v", token, err)
		}
	}
	if a := call(t, http.MethodGet, fmt.Sprintf("/tasks/%d", task.ID), ""); a.status != http.StatusOK || bytes.Contains(a.body, []byte(`"priority":9`)) {
		t.Errorf("the task afterwards: status %d, %s", a.status, a.body)
	}
}

func TestTaskOfAnotherUserLooksAbsent(t *testing.T) {
	requireSignIn(t)
	task := create(t, "Private plan")
	other := system.signUp(t)
	path, absent := fmt.Sprintf("/tasks/%d", task.ID), "/tasks/9223372036854775807"
	for _, tc := range []struct{ method, suffix, body string }{
		{http.MethodGet, "", ""},
		{http.MethodPatch, "", `{"title":"Taken over"}`},
		{http.MethodPatch, "/done", ""},
		{http.MethodGet, "/events", ""},
		{http.MethodDelete, "", ""},
	} {
		a := callAs(t, other, tc.method, path+tc.suffix, tc.body)
		checkProblem(t, a, http.StatusNotFound, "")
		want := strings.ReplaceAll(withoutRequestID(callAs(t, other, tc.method, absent+tc.suffix, tc.body)), "9223372036854775807", strconv.FormatInt(task.ID, 10))
		if got := withoutRequestID(a); got != want {
			t.Errorf("%s %s%s: %s, of an absent task %s", tc.method, path, tc.suffix, got, want)
		}
	}
	client := newSpecClient(t)
	client.user = other
	for _, method := range []string{"GetTask", "CompleteTask"} {
		if _, err := client.call(t, method, fmt.Sprintf("id: %d", task.ID)); status.Code(err) != codes.NotFound {
			t.Errorf("%s: %v", method, err)
		}
	}
	for _, list := range []string{"/tasks", "/tasks?limit=1000", "/tasks?q=Private"} {
		if a := callAs(t, other, http.MethodGet, list, ""); a.status != http.StatusOK || string(bytes.TrimSpace(a.body)) != "[]" {
			t.Errorf("%s of the other user: status %d, %s", list, a.status, a.body)
		}
	}
	if a := call(t, http.MethodGet, path, ""); a.status != http.StatusOK || !bytes.Contains(a.body, []byte("Private plan")) {
		t.Errorf("the owner's task afterwards: status %d, %s", a.status, a.body)
	}
}

// withoutRequestID returns the problem without what is different in each.
func withoutRequestID(a answer) string {
	return requestID.ReplaceAllString(string(a.body), "")
}

func TestWatcherReceivesOnlyTheUsersChanges(t *testing.T) {
	requireSignIn(t)
	client := newSpecClient(t)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	stream := client.watch(ctx, t)

	other := system.signUp(t)
	hidden := decode[taskJSON](t, callAs(t, other, http.MethodPost, "/tasks", `{"title":"Of another"}`), http.StatusCreated)
	shown := create(t, "Of the watcher")
	event, err := client.receive(stream)
	if err != nil || get(event, "task", "id").Int() != shown.ID {
		t.Errorf("the first event is %v, %v; want that of task %d, not %d", event, err, shown.ID, hidden.ID)
	}
}

func TestStatisticsAreTheUsersOwn(t *testing.T) {
	requireSignIn(t)
	kafka, other := kafkaClient(t), system.signUp(t)
	before := settled(t, kafka)
	complete(t, create(t, "Counted for its user").ID)

	eventually(t, 30*time.Second, func() error {
		if own := statsOf(t, system.user(t)); own.CompletedTotal != 1 || own.CompletedToday != 1 {
			return fmt.Errorf("the user's: %+v", own)
		}
		return nil
	})
	if all := settled(t, kafka); all.CompletedTotal != before.CompletedTotal+1 {
		t.Errorf("all: %+v, before %+v", all, before)
	}
	if others := statsOf(t, other); others.CompletedTotal != 0 {
		t.Errorf("another user's: %+v", others)
	}
	key, today := fmt.Sprintf("stats:user:%d", system.user(t).id), time.Now().UTC().Format(time.DateOnly)
	for _, field := range []string{"completed", today} {
		if n, err := redisClient(t).HGet(t.Context(), key, field).Int64(); err != nil || n != 1 {
			t.Errorf("redis %s %s = %d, %v", key, field, n, err)
		}
	}
	checkProblem(t, getStats(t, other, "/stats?scope=all"), http.StatusForbidden, "")
}

func statsOf(t *testing.T, u user) statsJSON {
	t.Helper()
	return decode[statsJSON](t, getStats(t, u, "/stats"), http.StatusOK)
}

func TestRevokedSessionIsRefusedEverywhere(t *testing.T) {
	requireSignIn(t)
	for name, revoke := range map[string]func(t *testing.T, u user){
		"signed out elsewhere": func(t *testing.T, u user) {
			if a := callAs(t, system.signIn(t, u.email, u.password), http.MethodDelete, "/sessions", ""); a.status != http.StatusNoContent {
				t.Errorf("signing out everywhere: status %d: %s", a.status, a.body)
			}
		},
		"a new password": func(t *testing.T, u user) {
			_, password := newCredentials()
			change := fmt.Sprintf(`{"current_password":%q,"password":%q}`, u.password, password)
			if a := callAs(t, system.signIn(t, u.email, u.password), http.MethodPatch, "/users/me", change); a.status != http.StatusOK {
				t.Errorf("changing the password: status %d: %s", a.status, a.body)
			}
		},
		"disabled": func(t *testing.T, u user) {
			system.runUsers(t, "", "disable", "--email", u.email)
			checkProblem(t, system.postCredentials(t, "/sessions", u.email, u.password), http.StatusUnauthorized, "")
		},
	} {
		t.Run(name, func(t *testing.T) {
			client := newSpecClient(t)
			client.user = system.signUp(t)
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			stream := client.watch(ctx, t)
			if own := statsOf(t, client.user); own.CompletedTotal != 0 {
				t.Errorf("a new user's statistics: %+v", own)
			}

			revoke(t, client.user)
			for _, route := range sessionRoutes(1) {
				route.expectRefusal(t, client.user)
			}
			if _, err := client.call(t, "ListTasks", ""); status.Code(err) != codes.Unauthenticated {
				t.Errorf("gRPC: %v", err)
			}
			if event, err := client.receive(stream); status.Code(err) != codes.Unauthenticated {
				t.Errorf("the stream goes on with %v, %v", event, err)
			}
		})
	}
}

func TestSessionsAreRefusedDuringARedisOutageAndValidAfterIt(t *testing.T) {
	requireSignIn(t)
	before := settled(t, kafkaClient(t))
	u, client := system.user(t), newSpecClient(t)
	task := create(t, "Redis away")
	routes := sessionRoutes(task.ID)
	signIn := sessionRoute{"TODO_HTTP_ADDR", http.MethodPost, "/sessions", fmt.Sprintf(`{"email":%q,"password":%q}`, u.email, u.password)}

	system.stop(t, "redis")
	for _, route := range append(routes, signIn) {
		a := route.sendOnce(t, u)
		checkProblem(t, a, http.StatusServiceUnavailable, "")
		if after, err := strconv.Atoi(a.header.Get("Retry-After")); err != nil || after < 1 {
			t.Errorf("%s: Retry-After %q", route, a.header.Get("Retry-After"))
		}
	}
	if _, err := client.callOnce(t, "ListTasks", ""); status.Code(err) != codes.Unavailable {
		t.Errorf("gRPC: %v", err)
	}
	system.start(t, "redis")

	eventually(t, sessionReturn, func() error {
		for _, route := range []sessionRoute{routes[0], {"STATS_HTTP_ADDR", http.MethodGet, "/stats", ""}} {
			if a := route.sendOnce(t, u); a.status != http.StatusOK {
				return fmt.Errorf("%s with the session of before: status %d: %s", route, a.status, a.body)
			}
		}
		return nil
	})
	if kept := decode[taskJSON](t, call(t, http.MethodGet, fmt.Sprintf("/tasks/%d", task.ID), ""), http.StatusOK); kept.Version != task.Version {
		t.Errorf("the task changed without a session: %+v", kept)
	}
	if tasks := decode[[]taskJSON](t, call(t, http.MethodGet, "/tasks", ""), http.StatusOK); len(tasks) != 1 {
		t.Errorf("the tasks afterwards: %+v", tasks)
	}
	complete(t, task.ID)
	notified(t, "Redis away", "Redis away")
	if after := settled(t, kafkaClient(t)); after.CompletedTotal != before.CompletedTotal+1 {
		t.Errorf("counted %d after %d", after.CompletedTotal, before.CompletedTotal)
	}
}
