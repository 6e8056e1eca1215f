package httpapi_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"example.com/todo/platform/apperr"
	"example.com/todo/todo-service/internal/ratelimit"
)

// openRequests need no session.
var openRequests = []string{"POST /sessions", "POST /users", "GET /openapi.yaml", "GET /docs", "GET /docs/start.js", "GET /docs/none"}

func TestEveryOtherRequestNeedsASession(t *testing.T) {
	t.Parallel()
	f := newSignInFixture(t, true)
	token := f.signIn(t, "ann@example.com")
	revoked := f.signIn(t, "ann@example.com")
	if response := f.as(revoked, "DELETE", "/sessions/current", ""); response.Status != http.StatusNoContent {
		t.Fatal(response.Status)
	}
	refused := map[string][]string{
		"nothing":                    nil,
		"an unknown token":           {"Authorization", "Bearer " + strings.Repeat("A", 43)},
		"a revoked session":          {"Authorization", "Bearer " + revoked},
		"a JWT":                      {"Authorization", "Bearer issued.7"},
		"another scheme":             {"Authorization", "Basic " + token},
		"two headers":                {"Authorization", "Bearer " + token, "Authorization", "Bearer " + token},
		"a header beside the cookie": {"Authorization", "Bearer " + revoked, "Cookie", "session=" + token},
		"two cookies":                {"Cookie", "session=" + token + "; session=" + revoked},
		"another cookie":             {"Cookie", "__Host-session=" + token},
	}
	for _, request := range append(allRequests(), "GET /nothing", "PUT /tasks", "GET /tasks/", "GET /docs/../tasks", "POST /sessions/current") {
		method, target, _ := strings.Cut(request, " ")
		if slices.Contains(openRequests, request) {
			if response := f.request(method, target, ""); response.Status == http.StatusUnauthorized {
				t.Errorf("%s needs a session", request)
			}
			continue
		}
		for name, header := range refused {
			response := f.request(method, target, "", header...)
			p := wantProblem(t, response, http.StatusUnauthorized)
			wantHeader(t, response, map[string]string{"Www-Authenticate": "Bearer"})
			if p.Detail != "the request has no valid session; sign in" {
				t.Errorf("%s with %s: %s", request, name, p.Detail)
			}
		}
		wantProblem(t, f.as(token, method, target+"?access_token="+token, ""), http.StatusBadRequest)
	}
}

// allRequests returns a request of each route that needs no more than its path.
func allRequests() []string {
	return append([]string{
		"GET /tasks", "HEAD /tasks", "POST /tasks", "GET /tasks/counts", "GET /tasks/1", "PATCH /tasks/1", "DELETE /tasks/1", "PATCH /tasks/1/done",
		"GET /tasks/1/events", "GET /events", "GET /sessions", "DELETE /sessions", "DELETE /sessions/current", "GET /users/me", "PATCH /users/me",
	}, openRequests...)
}

func TestTokenIsInTheHeaderOrInTheCookie(t *testing.T) {
	t.Parallel()
	f := newSignInFixture(t, false)
	token := f.signIn(t, "ann@example.com")
	for name, header := range map[string][]string{
		"the header": {"Authorization", "bearer " + token},
		"the cookie": {"Cookie", "theme=dark; session=" + token},
	} {
		response := f.request("GET", "/tasks", "", header...)
		if response.Status != http.StatusOK {
			t.Errorf("%s: %d", name, response.Status)
		}
		wantHeader(t, response, map[string]string{"Cache-Control": "private, no-cache", "Vary": "Authorization, Cookie"})
	}
	for site, want := range map[string]int{"same-origin": 201, "none": 201, "cross-site": 403, "same-site": 403} {
		response := f.request("POST", "/tasks", `{"title":"A"}`, "Cookie", "session="+token, "Sec-Fetch-Site", site)
		if response.Status != want {
			t.Errorf("a change with the cookie from %s: %d, want %d", site, response.Status, want)
		}
		if response := f.as(token, "POST", "/tasks", `{"title":"A"}`, "Sec-Fetch-Site", site); response.Status != http.StatusCreated {
			t.Errorf("a change with the header from %s: %d", site, response.Status)
		}
	}
}

func TestRequestsFailWhileSessionsAreAway(t *testing.T) {
	t.Parallel()
	f := newSignInFixture(t, false)
	token := f.signIn(t, "ann@example.com")
	f.sessions.away = true
	for _, request := range allRequests() {
		method, target, _ := strings.Cut(request, " ")
		if method == http.MethodHead || slices.Contains(openRequests, request) {
			continue
		}
		wantProblem(t, f.as(token, method, target, ""), http.StatusServiceUnavailable)
	}
	if response := f.request("GET", "/docs", ""); response.Status != http.StatusOK {
		t.Errorf("the documents need no session: %d", response.Status)
	}
}

func TestNoRequestWithoutAUserPasses(t *testing.T) {
	t.Parallel()
	f := newSignInFixture(t, false)
	token := f.signIn(t, "ann@example.com")
	f.sessions.loses = true
	wantProblem(t, f.as(token, "GET", "/tasks", ""), http.StatusUnauthorized)
}

func TestRateLimitCountsTheUserOrTheAddress(t *testing.T) {
	t.Parallel()
	f := newSignInFixture(t, true)
	token := f.signIn(t, "ann@example.com")
	f.limiter.clients = nil
	f.as(token, "GET", "/tasks", "")
	f.as(token, "GET", "/nothing", "")
	f.as(token, "POST", "/sessions", `{}`)
	f.as(token, "POST", "/users", `{}`)
	f.as(token, "GET", "/docs", "")
	f.request("GET", "/tasks", "")
	f.as(strings.Repeat("A", 43), "GET", "/tasks", "")
	const address = "192.0.2.1" // httptest's
	if want := []string{"user:1", "user:1", address, address, address, address, address}; !slices.Equal(f.limiter.clients, want) {
		t.Errorf("counted %q, want %q", f.limiter.clients, want)
	}
	f.limiter.decision = ratelimit.Decision{Limit: 60, Window: 60_000_000_000, RetryAfter: 1_000_000_000}
	for _, response := range []httpResponse{
		f.as(token, "GET", "/tasks", ""), f.request("GET", "/tasks", ""), f.request("POST", "/sessions", `{}`),
	} {
		wantProblem(t, response, http.StatusTooManyRequests)
	}
}

func TestStreamEndsWithItsSession(t *testing.T) {
	t.Parallel()
	f := newSignInFixture(t, false)
	token := f.signIn(t, "ann@example.com")
	f.watcher.endWith = apperr.New(apperr.Unauthenticated, "the request has no valid session; sign in")
	response := f.as(token, "GET", "/events", "")
	const last = "event: unauthenticated\ndata: {\"error\":\"the request has no valid session; sign in\"}\n\n"
	if response.Status != http.StatusOK || !strings.HasSuffix(response.Body, last) {
		t.Errorf("%d, %q", response.Status, response.Body)
	}
}
