package httpapi_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"example.com/todo/platform/apperr"
	"example.com/todo/platform/session"
	"example.com/todo/stats-service/internal/httpapi"
)

// The tokens of fakeSessions.
var (
	annToken   = strings.Repeat("c", 43)
	adminToken = strings.Repeat("Q", 43)
	downToken  = strings.Repeat("g", 43)
)

// fakeSessions has the sessions of Ann and of an administrator. For downToken Redis does
// not answer.
func fakeSessions(_ context.Context, token string) (session.Session, error) {
	switch token {
	case annToken:
		return session.Session{ID: "1", User: session.User{ID: 7, Role: "member"}}, nil
	case adminToken:
		return session.Session{ID: "2", User: session.User{ID: 8, Role: "admin"}}, nil
	case downToken:
		return session.Session{}, apperr.New(apperr.Unavailable, "sessions are unavailable at the moment; try again")
	}
	return session.Session{}, apperr.New(apperr.Unauthenticated, "the request has no valid session; sign in").WithCause(errors.New("no session"))
}

// serveSignedIn returns the response of the API with sign-in. header has names and values.
func serveSignedIn(t *testing.T, r *fakeReporter, secure bool, method, target string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), method, target, nil)
	for i := 0; i < len(header); i += 2 {
		request.Header.Add(header[i], header[i+1])
	}
	return serveWith(t, httpapi.Config{Reporter: r, Credentials: &session.Authenticator{Check: fakeSessions, Secure: secure}}, request)
}

func TestStatisticsAreTheUsersOwn(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		secure bool
		target string
		header []string
		user   string // "": of all
	}{
		"the token":                       {false, "/stats", []string{"Authorization", "Bearer " + annToken}, "7"},
		"the cookie":                      {false, "/stats", []string{"Cookie", "session=" + annToken}, "7"},
		"the cookie of https":             {true, "/stats", []string{"Cookie", "__Host-session=" + annToken}, "7"},
		"the token, before the cookie":    {false, "/stats", []string{"Authorization", "Bearer " + adminToken, "Cookie", "session=" + annToken}, "8"},
		"an administrator":                {false, "/stats?days=7", []string{"Authorization", "Bearer " + adminToken}, "8"},
		"an administrator who asks":       {false, "/stats?scope=all", []string{"Authorization", "Bearer " + adminToken}, ""},
		"an administrator, by cookie":     {false, "/stats?days=7&scope=all", []string{"Cookie", "session=" + adminToken}, ""},
		"a page of another listed origin": {false, "/stats", []string{"Cookie", "session=" + annToken, "Origin", "https://app.example.com", "Sec-Fetch-Site", "same-site"}, "7"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &fakeReporter{}
			response := serveSignedIn(t, r, test.secure, http.MethodGet, test.target, test.header...)
			if response.Code != http.StatusOK || r.user != test.user || r.days == 0 {
				t.Errorf("status %d, user %q, %d days; want 200 and %q", response.Code, r.user, r.days, test.user)
			}
			if got := response.Header().Get("Cache-Control"); got != "private, no-cache" {
				t.Errorf("Cache-Control %q", got)
			}
			if got := strings.Join(response.Header().Values("Vary"), ", "); !strings.Contains(got, "Authorization, Cookie") {
				t.Errorf("Vary %q", got)
			}
		})
	}
}

func TestStatisticsNeedASession(t *testing.T) {
	t.Parallel()
	bearer := func(token string) []string { return []string{"Authorization", "Bearer " + token} }
	for name, test := range map[string]struct {
		method, target string
		header         []string
		status         int
	}{
		"nothing":                             {"GET", "/stats", nil, 401},
		"an ended session":                    {"GET", "/stats", bearer(strings.Repeat("w", 43)), 401},
		"a JWT":                               {"GET", "/stats", bearer("e30.e30.c2ln"), 401},
		"another scheme":                      {"GET", "/stats", []string{"Authorization", "Basic " + annToken}, 401},
		"the cookie of https, without":        {"GET", "/stats", []string{"Cookie", "__Host-session=" + annToken}, 401},
		"two cookies":                         {"GET", "/stats", []string{"Cookie", "session=" + annToken + "; session=" + adminToken}, 401},
		"a malformed header, beside a cookie": {"GET", "/stats", []string{"Authorization", "x", "Cookie", "session=" + annToken}, 401},
		"for the statistics of all":           {"GET", "/stats?scope=all", nil, 401},
		"HEAD":                                {"HEAD", "/stats", nil, 401},
		"an unknown path":                     {"GET", "/tasks", nil, 401},
		"another method":                      {"POST", "/stats", nil, 401},
		"a token in the URL":                  {"GET", "/stats?token=" + annToken, bearer(annToken), 400},
		"a token in the URL of the document":  {"GET", "/openapi.yaml?access_token=" + annToken, nil, 400},
		"Redis is down":                       {"GET", "/stats", bearer(downToken), 503},
		"a member who asks for all":           {"GET", "/stats?scope=all", bearer(annToken), 403},
		"another scope":                       {"GET", "/stats?scope=mine", bearer(adminToken), 422},
		"two scopes":                          {"GET", "/stats?scope=all&scope=all", bearer(adminToken), 422},
		"no days":                             {"GET", "/stats?days=0", bearer(annToken), 422},
		"a broken query":                      {"GET", "/stats?days=%zz", bearer(annToken), 400},
		"an unknown path, signed in":          {"GET", "/tasks", bearer(annToken), 404},
		"another method, by cookie of a page": {"POST", "/stats", []string{"Cookie", "session=" + annToken, "Sec-Fetch-Site", "cross-site"}, 403},
		"the document":                        {"GET", "/openapi.yaml", nil, 200},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &fakeReporter{}
			response := serveSignedIn(t, r, false, test.method, test.target, test.header...)
			if response.Code != test.status {
				t.Errorf("status %d, body %s; want %d", response.Code, response.Body, test.status)
			}
			if got := response.Header().Get("WWW-Authenticate"); (got == "Bearer") != (test.status == 401) {
				t.Errorf("WWW-Authenticate %q", got)
			}
			if got := response.Header().Get("Retry-After"); (got != "") != (test.status == 503) {
				t.Errorf("Retry-After %q", got)
			}
			if test.status != 422 && r.days != 0 {
				t.Error("the statistics were read")
			}
			if strings.Contains(response.Body.String(), annToken) {
				t.Error("the body has the token")
			}
		})
	}
}

func TestOnlyListedOriginsMaySendCredentials(t *testing.T) {
	t.Parallel()
	for origin, want := range map[string]string{"https://app.example.com": "true", "https://evil.example": ""} {
		response := serveSignedIn(t, &fakeReporter{}, false, http.MethodGet, "/stats", "Cookie", "session="+annToken, "Origin", origin)
		if got := response.Header().Get("Access-Control-Allow-Credentials"); got != want {
			t.Errorf("%s: Access-Control-Allow-Credentials %q, want %q", origin, got, want)
		}
	}
	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/stats?scope=all", nil)
	request.Header.Set("Origin", "https://app.example.com")
	response := serve(t, &fakeReporter{}, request)
	if got, sent := response.Header()["Access-Control-Allow-Credentials"]; sent || response.Code != http.StatusOK {
		t.Errorf("without sign-in: %d, Access-Control-Allow-Credentials %q", response.Code, got)
	}
}
