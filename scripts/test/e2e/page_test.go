package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"testing"
	"time"
)

var statsURL = regexp.MustCompile(`data-stats-url="([^"]+)"`)

// Its behavior in a browser is tested beside this package; here the parts are connected, also in containers.
func TestPageShowsATaskOfItsFormAndMayReadTheStatistics(t *testing.T) {
	origin := "http://" + system.address("TODO_HTTP_ADDR")
	title := fmt.Sprintf("Added by a form at %d", time.Now().UnixNano())
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	added := request(t, client, http.MethodPost, origin+"/page/tasks", url.Values{"title": {title}, "priority": {"90"}}.Encode(),
		"Content-Type", "application/x-www-form-urlencoded", "Sec-Fetch-Site", "same-origin", "X-Forwarded-For", unseenAddr())
	if added.status != http.StatusSeeOther {
		t.Fatalf("status %d: %s", added.status, added.body)
	}
	page := call(t, http.MethodGet, "/?q="+url.QueryEscape(title), "")
	if page.status != http.StatusOK || !regexp.MustCompile(`<li data-id="\d+"[^>]*>`).Match(page.body) {
		t.Errorf("status %d, and no task in:\n%s", page.status, page.body)
	}
	address := statsURL.FindSubmatch(page.body)
	if address == nil {
		t.Fatalf("the page does not know stats-service:\n%s", page.body)
	}
	stats := request(t, http.DefaultClient, http.MethodGet, string(address[1])+"/stats?days=30", "", "Origin", origin)
	if allowed := stats.header.Get("Access-Control-Allow-Origin"); stats.status != http.StatusOK || allowed != origin {
		t.Errorf("status %d, for pages of %q instead of %q", stats.status, allowed, origin)
	}
}
