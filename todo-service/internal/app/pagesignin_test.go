package app

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	"example.com/todo/platform/testenv"
	"example.com/todo/platform/testenv/netproxy"
)

// visitor is a browser on the page of a replica.
type visitor struct {
	signInFixture
	browser *http.Client
}

func (f signInFixture) newVisitor() visitor {
	f.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		f.Fatal(err)
	}
	return visitor{f, &http.Client{Jar: jar}}
}

// wantText sends a request, a form unless fields is nil, and wants a status and a text. It
// repeats it while the machine is too busy for an answer of Redis within 40 ms.
func (v visitor) wantText(status int, text, target string, fields url.Values) {
	v.Helper()
	got, body := 0, ""
	testenv.Eventually(v.TB, target+" is answered", func() bool {
		method, content := http.MethodGet, io.Reader(http.NoBody)
		if fields != nil {
			method, content = http.MethodPost, strings.NewReader(fields.Encode())
		}
		r, err := http.NewRequestWithContext(v.Context(), method, "http://"+v.cfg.HTTP.Addr+target, content)
		if err != nil {
			v.Fatal(err)
		}
		if fields != nil {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		response, err := v.browser.Do(r)
		if err != nil {
			v.Fatal(err)
		}
		defer response.Body.Close()
		read, err := io.ReadAll(response.Body)
		got, body = response.StatusCode, string(read)
		return err == nil && (got == status || got != http.StatusServiceUnavailable)
	})
	if got != status || !strings.Contains(body, text) {
		v.Errorf("%s: %d, want %d with %q: %s", target, got, status, text, body)
	}
}

func TestPageSignsInWithTheSessionsOfTheAPI(t *testing.T) {
	t.Parallel()
	f := serveWithSignIn(t, migratedDatabase(t), newPrefix())
	credentials := url.Values{"email": {"ann@example.com"}, "password": {password}}
	v := f.newVisitor()
	v.wantText(http.StatusOK, "Sign in to Tasks", "/", nil)
	f.signUp("ann@example.com") // over the API: the form cannot be repeated when Redis is late for the sign-in that follows
	v.wantText(http.StatusConflict, "belongs to an account already", "/page/sign-up", credentials)
	v.wantText(http.StatusOK, "ann@example.com", "/page/sign-in", credentials)
	v.wantText(http.StatusOK, "Learn Go", "/page/tasks", url.Values{"title": {"Learn Go"}, "priority": {"1"}})
	v.wantText(http.StatusOK, "Learn Go", "/tasks", nil) // the cookie is the API's, too
	token := f.signIn("ann@example.com")
	if text := f.wantStatus(http.StatusOK, token, "GET", "/tasks", ""); !strings.Contains(text, "Learn Go") {
		t.Errorf("over the API the list is %s", text)
	}
	f.redis.SetMode(netproxy.Stall)
	v.wantText(http.StatusServiceUnavailable, "The page cannot be shown", "/", nil)
	v.wantText(http.StatusServiceUnavailable, "Not signed in", "/page/sign-in", credentials)
	v.wantText(http.StatusServiceUnavailable, "Not signed out", "/page/sign-out", url.Values{})
	f.redis.SetMode(netproxy.Forward)
	v.wantText(http.StatusOK, "Learn Go", "/", nil)
	f.wantStatus(http.StatusNoContent, token, "DELETE", "/sessions", "")
	v.wantText(http.StatusOK, "The session has ended.", "/", nil)
	v.wantText(http.StatusOK, "Learn Go", "/page/sign-in", credentials)
	v.wantText(http.StatusOK, "Sign in to Tasks", "/page/sign-out", url.Values{})
	v.wantText(http.StatusUnauthorized, "the request has no valid session", "/tasks", nil)
}
