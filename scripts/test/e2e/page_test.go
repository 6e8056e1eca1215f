package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"testing"
	"time"
)

var statsURL = regexp.MustCompile(`data-stats-url="([^"]+)"`)

// Its behavior in a browser is tested beside this package; here the parts are connected, also in containers.
func TestPageShowsATaskOfItsFormAndMayReadTheStatistics(t *testing.T) {
	origin := system.url("TODO_HTTP_ADDR", "")
	cookie := signInByForm(t)
	title := fmt.Sprintf("Added by a form at %d", time.Now().UnixNano())
	added := submit(t, "/page/tasks", url.Values{"title": {title}, "priority": {"90"}}, cookie...)
	if added.status != http.StatusSeeOther {
		t.Fatalf("status %d: %s", added.status, added.body)
	}
	page := callAs(t, user{}, http.MethodGet, "/?q="+url.QueryEscape(title), "", cookie...)
	if page.status != http.StatusOK || !regexp.MustCompile(`<li data-id="\d+"[^>]*>`).Match(page.body) {
		t.Errorf("status %d, and no task in:\n%s", page.status, page.body)
	}
	address := statsURL.FindSubmatch(page.body)
	if address == nil {
		t.Fatalf("the page does not know stats-service:\n%s", page.body)
	}
	stats := requestAs(t, user{}, http.MethodGet, string(address[1])+"/stats?days=30", "", append(cookie, "Origin", origin)...)
	if allowed := stats.header.Get("Access-Control-Allow-Origin"); stats.status != http.StatusOK || allowed != origin {
		t.Errorf("status %d, for pages of %q instead of %q", stats.status, allowed, origin)
	}
}

// submit sends a form of the page, and again after 503, as requestAs does.
func submit(t *testing.T, path string, fields url.Values, header ...string) answer {
	t.Helper()
	client := *system.http
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	header = slices.Concat(header, []string{
		"Content-Type", "application/x-www-form-urlencoded", "Sec-Fetch-Site", "same-origin", "X-Forwarded-For", unseenAddr(),
	})
	var a answer
	repeatWhile(t, func() bool {
		a = request(t, &client, http.MethodPost, system.url("TODO_HTTP_ADDR", path), fields.Encode(), header...)
		return a.status == http.StatusServiceUnavailable
	})
	return a
}

// signInByForm returns the header with the cookie of a session of the test's user.
func signInByForm(t *testing.T) []string {
	t.Helper()
	if !secure {
		return nil
	}
	u := system.user(t)
	signedIn := submit(t, "/page/sign-in", url.Values{"email": {u.email}, "password": {u.password}})
	cookies := (&http.Response{Header: signedIn.header}).Cookies()
	if signedIn.status != http.StatusSeeOther || len(cookies) != 1 {
		t.Fatalf("signing in by form: status %d, cookies %v", signedIn.status, cookies)
	}
	return []string{"Cookie", cookies[0].Name + "=" + cookies[0].Value}
}
