package httpapi_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/todo/platform/apperr"
)

func TestSignInReturnsATokenAndSetsNoCookie(t *testing.T) {
	t.Parallel()
	f := newSignInFixture(t, false)
	f.signIn(t, "ann@example.com")
	response := f.request("POST", "/sessions", `{"email":" ANN@example.com","password":"a long-tailed tit"}`)
	token := f.sessions.Tokens()["S2"]
	want := `{"token":"` + token + `","expires_at":"2026-01-16T10:00:00Z","user":{"id":1,"email":"ann@example.com"}}`
	if response.Status != http.StatusCreated || response.Body != want {
		t.Errorf("%d %s, want %s", response.Status, response.Body, want)
	}
	wantHeader(t, response, map[string]string{"Set-Cookie": "", "Cache-Control": "private, no-cache", "Vary": "Authorization, Cookie"})
	if got := f.as(token, "GET", "/tasks", ""); got.Status != http.StatusOK {
		t.Errorf("with the token: %d", got.Status)
	}
}

func TestSignInWithATokenOfAnIssuer(t *testing.T) {
	t.Parallel()
	f := newSignInFixture(t, false)
	response := f.request("POST", "/sessions", "", "Authorization", "bearer issued.7")
	if response.Status != http.StatusCreated || !strings.HasSuffix(response.Body, `,"user":{"id":1}}`) {
		t.Errorf("%d %s", response.Status, response.Body)
	}
	for name, header := range map[string][]string{
		"an invalid token":     {"Authorization", "Bearer forged"},
		"no token":             {"Authorization", "Bearer"},
		"an empty header":      {"Authorization", " "},
		"another scheme":       {"Authorization", "Basic issued.7"},
		"two headers":          {"Authorization", "Bearer issued.7", "Authorization", "Bearer issued.7"},
		"a token of a session": {"Authorization", "Bearer " + f.sessions.Tokens()["S1"]},
	} {
		p := wantProblem(t, f.request("POST", "/sessions", "", header...), http.StatusUnauthorized)
		if p.Detail != "these credentials are not valid" {
			t.Errorf("%s: %s", name, p.Detail)
		}
	}
	// A body has precedence: a client may sign in again while it sends a token.
	f.signIn(t, "ann@example.com")
	again := f.request("POST", "/sessions", `{"email":"ann@example.com","password":"a long-tailed tit"}`, "Authorization", "Bearer forged")
	if again.Status != http.StatusCreated {
		t.Errorf("with a body and a header: %d %s", again.Status, again.Body)
	}
}

func TestFailedSignInHasOneAnswer(t *testing.T) {
	t.Parallel()
	f := newSignInFixture(t, false)
	f.signIn(t, "ann@example.com")
	f.signIn(t, "disabled@example.com")
	if _, err := f.accounts.Disable(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	var first problem
	for name, body := range map[string]string{
		"a wrong password":  `{"email":"ann@example.com","password":"a short-tailed tit"}`,
		"an unknown user":   `{"email":"bob@example.com","password":"a long-tailed tit"}`,
		"a disabled user":   `{"email":"disabled@example.com","password":"a long-tailed tit"}`,
		"nothing":           `{}`,
		"no password":       `{"email":"ann@example.com"}`,
		"no e-mail":         `{"password":"a long-tailed tit"}`,
		"a password of NUL": `{"email":"ann@example.com","password":"\u0000"}`,
		"a long password":   `{"email":"ann@example.com","password":"` + strings.Repeat("p", 60_000) + `"}`,
		"no e-mail address": `{"email":"ann","password":"a long-tailed tit"}`,
	} {
		response := f.request("POST", "/sessions", body)
		p := wantProblem(t, response, http.StatusUnauthorized)
		wantHeader(t, response, map[string]string{"Www-Authenticate": "Bearer", "Cache-Control": "no-store"})
		p.RequestID = ""
		if first.Status == 0 {
			first = p
		}
		if diff := cmp.Diff(first, p); diff != "" {
			t.Errorf("%s differs from another:\n%s", name, diff)
		}
	}
}

func TestMalformedSignIns(t *testing.T) {
	t.Parallel()
	f := newSignInFixture(t, true)
	token := f.signIn(t, "ann@example.com")
	for name, c := range map[string]struct {
		method, target, body string
		header               []string
		status               int
		fields               []string
	}{
		"sign-in: a password of 1 MB":        {"POST", "/sessions", `{"email":"a","password":"` + strings.Repeat("p", 1<<20) + `"}`, nil, 413, nil},
		"sign-in: no body":                   {"POST", "/sessions", "", nil, 415, nil},
		"sign-in: a form":                    {"POST", "/sessions", "email=a", []string{"Content-Type", "application/x-www-form-urlencoded"}, 415, nil},
		"sign-in: no JSON":                   {"POST", "/sessions", "{", nil, 400, nil},
		"sign-in: an unknown key":            {"POST", "/sessions", `{"mail":"a"}`, nil, 400, nil},
		"sign-in: a key twice":               {"POST", "/sessions", `{"email":"a","email":"b"}`, nil, 400, nil},
		"sign-in: invalid UTF-8":             {"POST", "/sessions", "{\"email\":\"a\",\"password\":\"\xff\"}", nil, 400, nil},
		"sign-in: a number":                  {"POST", "/sessions", `{"email":"a","password":1}`, nil, 422, []string{"password"}},
		"sign-in: null":                      {"POST", "/sessions", `{"email":null,"password":"p"}`, nil, 422, []string{"email"}},
		"sign-in: a token in the URL":        {"POST", "/sessions?token=" + token, `{}`, nil, 400, nil},
		"sign-in: by a page of another site": {"POST", "/sessions", `{}`, []string{"Cookie", "session=" + token, "Sec-Fetch-Site", "cross-site"}, 403, nil},
		"sign-up: nothing":                   {"POST", "/users", `{}`, nil, 422, []string{"email", "password"}},
		"sign-up: a short password":          {"POST", "/users", `{"email":"bob@example.com","password":"short"}`, nil, 422, []string{"password"}},
		"sign-up: a known password":          {"POST", "/users", `{"email":"bob@example.com","password":"password1234"}`, nil, 422, []string{"password"}},
		"sign-up: NUL":                       {"POST", "/users", `{"email":"bob@example.com","password":"a long-tailed\u0000 tit"}`, nil, 422, []string{"password"}},
		"sign-up: a taken e-mail":            {"POST", "/users", `{"email":"ANN@example.com","password":"a long-tailed tit"}`, nil, 409, nil},
		"change: nothing":                    {"PATCH", "/users/me", `{}`, []string{"Authorization", "Bearer " + token}, 422, []string{"password", "current_password"}},
		"change: no current password":        {"PATCH", "/users/me", `{"password":"three blind mice run"}`, []string{"Authorization", "Bearer " + token}, 422, []string{"current_password"}},
		"change: null":                       {"PATCH", "/users/me", `{"password":null,"current_password":"a"}`, []string{"Authorization", "Bearer " + token}, 422, []string{"password"}},
		"change: another current password":   {"PATCH", "/users/me", `{"password":"three blind mice run","current_password":"a"}`, []string{"Authorization", "Bearer " + token}, 422, []string{"current_password"}},
		"change: a short password":           {"PATCH", "/users/me", `{"password":"short","current_password":"a long-tailed tit"}`, []string{"Authorization", "Bearer " + token}, 422, []string{"password"}},
		"change: the role":                   {"PATCH", "/users/me", `{"role":"admin"}`, []string{"Authorization", "Bearer " + token}, 400, nil},
		"sign out: a session of no user":     {"DELETE", "/sessions/S7", "", []string{"Authorization", "Bearer " + token}, 404, nil},
		"sign out: with a body":              {"DELETE", "/sessions/current", `{"a":1}`, []string{"Authorization", "Bearer " + token}, 400, nil},
		"sign out everywhere: with a body":   {"DELETE", "/sessions", `{"a":1}`, []string{"Authorization", "Bearer " + token}, 400, nil},
	} {
		p := wantProblem(t, f.request(c.method, c.target, c.body, c.header...), c.status)
		if diff := cmp.Diff(c.fields, p.fields()); diff != "" {
			t.Errorf("%s: fields (-want +got):\n%s", name, diff)
		}
		for _, secret := range []string{token, "long-tailed", "password1234", "blind mice"} {
			if strings.Contains(p.Detail+p.Error, secret) {
				t.Errorf("%s: the problem has %s", name, secret)
			}
		}
	}
	if got := f.as(token, "GET", "/users/me", ""); got.Status != http.StatusOK {
		t.Errorf("the session has ended: %d", got.Status)
	}
}

func TestUserSeesItselfAndItsSessions(t *testing.T) {
	t.Parallel()
	f := newSignInFixture(t, true)
	created := f.request("POST", "/users", `{"email":"Ann@example.com","password":"a long-tailed tit"}`)
	const ann = `{"id":1,"email":"ann@example.com","role":"user","created_at":"2026-01-15T10:00:00Z"}`
	if created.Status != http.StatusCreated || created.Body != ann {
		t.Errorf("sign-up: %d %s", created.Status, created.Body)
	}
	first, _, second := f.signIn(t, "ann@example.com"), f.signIn(t, "bob@example.com"), f.signIn(t, "ann@example.com")
	me := f.as(second, "GET", "/users/me", "")
	if me.Status != http.StatusOK || me.Body != ann {
		t.Errorf("me: %d %s", me.Status, me.Body)
	}
	list := f.as(second, "GET", "/sessions", "")
	const times = `"created_at":"2026-01-15T10:00:00Z","last_seen":"2026-01-15T10:01:00Z","expires_at":"2026-01-16T10:00:00Z",`
	if want := `[{"id":"S3",` + times + `"current":true},{"id":"S1",` + times + `"current":false}]`; list.Body != want {
		t.Errorf("sessions: %s", list.Body)
	}
	for _, response := range []httpResponse{me, list, created} {
		wantHeader(t, response, map[string]string{"Cache-Control": "private, no-cache", "Vary": "Authorization, Cookie", "Set-Cookie": ""})
	}
	for _, step := range []struct {
		token, target string
		status        int
	}{
		{second, "/sessions/S2", 404}, // bob's
		{second, "/sessions/S1", 204},
		{first, "/sessions/current", 401},
		{second, "/sessions/current", 204},
		{second, "/sessions/current", 401},
	} {
		if response := f.as(step.token, "DELETE", step.target, ""); response.Status != step.status {
			t.Errorf("DELETE %s: %d, want %d", step.target, response.Status, step.status)
		}
	}
}

func TestSignOutEverywhereEndsEverySession(t *testing.T) {
	t.Parallel()
	f := newSignInFixture(t, false)
	first, second, other := f.signIn(t, "ann@example.com"), f.signIn(t, "ann@example.com"), f.signIn(t, "bob@example.com")
	if response := f.as(first, "DELETE", "/sessions", ""); response.Status != http.StatusNoContent {
		t.Errorf("%d %s", response.Status, response.Body)
	}
	for token, want := range map[string]int{first: 401, second: 401, other: 200} {
		if response := f.as(token, "GET", "/users/me", ""); response.Status != want {
			t.Errorf("%d, want %d", response.Status, want)
		}
	}
}

func TestNewPasswordEndsTheOtherSessions(t *testing.T) {
	t.Parallel()
	f := newSignInFixture(t, false)
	first, second := f.signIn(t, "ann@example.com"), f.signIn(t, "ann@example.com")
	response := f.as(second, "PATCH", "/users/me", `{"password":"three blind mice run","current_password":"a long-tailed tit"}`,
		"Content-Type", "application/merge-patch+json")
	if response.Status != http.StatusOK || !strings.Contains(response.Body, `"email":"ann@example.com"`) {
		t.Errorf("%d %s", response.Status, response.Body)
	}
	for token, want := range map[string]int{first: 401, second: 200} {
		if got := f.as(token, "GET", "/users/me", ""); got.Status != want {
			t.Errorf("%d, want %d", got.Status, want)
		}
	}
}

func TestSignUpIsNotThereWhenItIsClosed(t *testing.T) {
	t.Parallel()
	wantProblem(t, newSignInFixture(t, false).request("POST", "/users", `{"email":"ann@example.com","password":"a long-tailed tit"}`), http.StatusNotFound)
}

func TestWithoutSignInItsRoutesAreNotThere(t *testing.T) {
	t.Parallel()
	f := newFixture()
	for _, request := range [][2]string{
		{"POST", "/sessions"}, {"GET", "/sessions"}, {"DELETE", "/sessions"}, {"DELETE", "/sessions/current"},
		{"POST", "/users"}, {"GET", "/users/me"}, {"PATCH", "/users/me"},
	} {
		wantProblem(t, f.request(request[0], request[1], ""), http.StatusNotFound)
	}
}

func TestAttemptsOverTheLimitAndWithoutRedis(t *testing.T) {
	t.Parallel()
	f := newSignInFixture(t, true)
	f.signIn(t, "ann@example.com")
	limited := apperr.New(apperr.RateLimited, "too many attempts")
	limited.RetryAfter = 12_000_000_000
	for err, want := range map[*apperr.Error]int{limited: 429, errAway: 503} {
		f.attempts.err = err
		for _, target := range []string{"/sessions", "/users"} {
			response := f.request("POST", target, `{"email":"bob@example.com","password":"a long-tailed tit"}`)
			wantProblem(t, response, want)
			if response.Header.Get("Retry-After") == "" {
				t.Errorf("%d without Retry-After", want)
			}
		}
	}
	f.attempts.err, f.sessions.away = nil, true
	wantProblem(t, f.request("POST", "/sessions", `{"email":"ann@example.com","password":"a long-tailed tit"}`), 503)
}
