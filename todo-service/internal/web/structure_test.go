package web_test

import (
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"example.com/todo/platform/apperr"
	"example.com/todo/todo-service/internal/task"
)

// states returns a document of every kind, by its name.
func states(t *testing.T) map[string]response {
	t.Helper()
	f := newFixture()
	states := map[string]response{"empty": f.request(http.MethodGet, "/"), "nothing found": f.request(http.MethodGet, "/?q=x&done=true")}
	for range 3 {
		f.create(t, "A <b>task</b>", 50)
	}
	f.change(t, 2, task.Change{Done: new(true), Title: new("مهمة")})
	root := f.document(t, "/?task=2", http.StatusOK)
	f.change(t, 2, task.Change{Priority: new(1)})
	states["conflict"] = f.press(t, root, button(t, root, "Save"), url.Values{"title": {"typed"}})
	states["last page"] = f.request(http.MethodGet, "/?sort=id&after=1&done=false")
	states["details"] = f.request(http.MethodGet, "/?task=2&q=task")
	states["invalid query"] = f.request(http.MethodGet, "/?done=maybe")
	states["invalid title"] = f.post("/page/tasks", url.Values{"title": {""}, "priority": {"1"}})
	states["invalid title of a task"] = f.post("/page/tasks/1", url.Values{"title": {""}, "priority": {"1"}})
	states["changed meanwhile"] = f.post("/page/tasks/2/reopen", url.Values{"version": {"1"}})
	states["forged"] = f.post("/page/tasks", nil, "Sec-Fetch-Site", "cross-site")
	full := newFixture()
	for range task.MaxLimit + 1 {
		full.create(t, "A", 0)
	}
	states["first page"] = full.request(http.MethodGet, "/?done=false")
	f.refusal = time.Second
	states["limited"] = f.post("/page/tasks/1/delete", nil)
	f.store.err = apperr.New(apperr.Unavailable, "the database did not answer")
	states["away"] = f.request(http.MethodGet, "/")
	f.store.err = errors.New("a defect")
	states["defect"] = f.request(http.MethodGet, "/")
	maps.Copy(states, signInStates(t))
	return states
}

// signInStates returns a document of every kind that only sign-in has.
func signInStates(t *testing.T) map[string]response {
	t.Helper()
	f := newSignInFixture(t)
	states := map[string]response{"sign in": f.request(http.MethodGet, "/"), "sign up": f.request(http.MethodGet, "/page/sign-up")}
	b := f.newUser(t, email)
	wantRedirect(t, (&browser{signInFixture: f, t: t}).signIn(email, password))
	states["signed in"] = b.get("/")
	states["account"] = b.get("/page/account?changed=password")
	states["wrong current password"] = b.submit("/page/account/password", url.Values{"current_password": {"x"}, "password": {password + password}})
	b.cookie = ""
	states["signed out meanwhile"] = b.submit("/page/tasks", url.Values{"title": {"typed"}})
	states["wrong password"] = b.signIn(email, "x")
	states["invalid sign-up"] = b.submit("/page/sign-up", url.Values{"email": {"x"}, "password": {"x"}})
	f.sessions.away, b.cookie = true, "session="+strings.Repeat("A", 43)
	states["no Redis"] = b.get("/")
	return states
}

func TestDocumentsNeedNothingInline(t *testing.T) {
	t.Parallel()
	for name, state := range states(t) {
		for _, n := range elements(state.parse(t), func(*html.Node) bool { return true }) {
			if n.Data == "style" || n.Data == "script" && (attribute(n, "src") == "" || n.FirstChild != nil) || n.Data == "base" || n.Data == "iframe" {
				t.Errorf("%s: <%s> %v", name, n.Data, n.Attr)
			}
			for _, a := range n.Attr {
				if strings.HasPrefix(a.Key, "on") || a.Key == "style" || strings.HasPrefix(a.Val, "javascript:") || strings.HasPrefix(a.Val, "data:") {
					t.Errorf("%s: <%s %s=%q>", name, n.Data, a.Key, a.Val)
				}
			}
		}
	}
}

func TestIdsAreUniqueAndReferencesResolve(t *testing.T) {
	t.Parallel()
	for name, state := range states(t) {
		root := state.parse(t)
		ids := map[string]int{}
		for _, n := range elements(root, func(n *html.Node) bool { return has(n, "id") }) {
			ids[attribute(n, "id")]++
		}
		for id, n := range ids {
			if n != 1 {
				t.Errorf("%s: %d elements have the id %q", name, n, id)
			}
		}
		for _, n := range elements(root, func(*html.Node) bool { return true }) {
			for _, reference := range []string{"for", "form", "aria-labelledby", "aria-describedby"} {
				for _, id := range strings.Fields(attribute(n, reference)) {
					if ids[id] != 1 {
						t.Errorf("%s: <%s %s=%q> leads nowhere", name, n.Data, reference, id)
					}
				}
			}
		}
	}
}

func TestEveryControlHasAName(t *testing.T) {
	t.Parallel()
	for name, state := range states(t) {
		root := state.parse(t)
		labels := map[string]bool{}
		for _, label := range elements(root, func(n *html.Node) bool { return n.Data == "label" && text(n) != "" }) {
			labels[attribute(label, "for")] = true
		}
		controls := 0
		for _, n := range elements(root, func(n *html.Node) bool {
			return slices.Contains([]string{"input", "select", "textarea", "button", "a"}, n.Data) && attribute(n, "type") != "hidden"
		}) {
			controls++
			if labelled := attribute(n, "aria-labelledby"); labelled != "" && text(element(t, root, labelled)) == "" {
				t.Errorf("%s: <%s> is named by an empty element", name, n.Data)
			} else if labelled == "" && attribute(n, "aria-label") == "" && !labels[attribute(n, "id")] && (text(n) == "" || n.Data == "input" || n.Data == "select") {
				t.Errorf("%s: <%s id=%q> has no name", name, n.Data, attribute(n, "id"))
			}
		}
		if controls == 0 {
			t.Errorf("%s has no control", name)
		}
	}
}

func TestDocumentsHaveLandmarksAndHeadings(t *testing.T) {
	t.Parallel()
	for name, state := range states(t) {
		root := state.parse(t)
		count := func(tag string) int { return len(elements(root, func(n *html.Node) bool { return n.Data == tag })) }
		if count("h1") != 1 || count("main") != 1 || count("title") != 1 || name != "forged" && name != "no Redis" && count("header") != 1 {
			t.Errorf("%s: %d h1, %d main, %d title, %d header", name, count("h1"), count("main"), count("title"), count("header"))
		}
		if lang := attribute(elements(root, func(n *html.Node) bool { return n.Data == "html" })[0], "lang"); lang != "en" {
			t.Errorf("%s: the language is %q", name, lang)
		}
		if !strings.HasPrefix(state.Body, "<!DOCTYPE html>\n") {
			t.Errorf("%s: no doctype: a browser would use quirks mode", name)
		}
		if failed := state.Status >= 400; failed != strings.HasSuffix(text(elements(root, func(n *html.Node) bool { return n.Data == "title" })[0]), " – Tasks") {
			t.Errorf("%s: the title does not say what failed", name)
		}
	}
}

func TestLinksAndFormsLeadToServedAddresses(t *testing.T) {
	t.Parallel()
	f := newSignInFixture(t)
	for name, state := range states(t) {
		seen := map[string]bool{}
		for _, n := range elements(state.parse(t), func(*html.Node) bool { return true }) {
			for _, reference := range []string{"href", "src", "action", "formaction"} {
				target, _, _ := strings.Cut(attribute(n, reference), "#")
				if target == "" || seen[target] || len(seen) > 50 {
					continue
				}
				seen[target] = true
				method := http.MethodGet
				if reference != "href" && strings.HasPrefix(target, "/page/") {
					method = http.MethodPost
				}
				got := f.request(method, target)
				// A form without a body is refused for its type, so it has a route.
				wanted := got.Status == http.StatusOK || strings.HasPrefix(target, "/?") && got.Status < 500 || method == http.MethodPost && got.Status == http.StatusUnsupportedMediaType
				if !wanted {
					t.Errorf("%s: %s %s is answered %d", name, method, target, got.Status)
				}
			}
		}
		if len(seen) < 3 {
			t.Errorf("%s has %d links", name, len(seen))
		}
	}
}

func TestRowOfAScriptIsTheRowOfTheServer(t *testing.T) {
	t.Parallel()
	f := newFixture()
	f.create(t, "A", 0)
	root := f.document(t, "/", http.StatusOK)
	var rows []*html.Node
	for n := range root.Descendants() {
		if n.Type == html.ElementNode && n.Data == "li" {
			rows = append(rows, n)
		}
	}
	if len(rows) != 2 || insideTemplate(rows[0]) || !insideTemplate(rows[1]) {
		t.Fatalf("%d rows", len(rows))
	}
	outline := func(row *html.Node) (tags []string) {
		for n := range row.Descendants() {
			if n.Type == html.ElementNode {
				tags = append(tags, n.Data+"."+attribute(n, "class"))
			}
		}
		return tags
	}
	if got, want := outline(rows[1]), outline(rows[0]); !slices.Equal(got, want) || len(got) < 5 {
		t.Errorf("the template has %q, the row %q", got, want)
	}
}

func TestScriptFindsItsSettingsInTheDocument(t *testing.T) {
	t.Parallel()
	root := elements(newFixture().document(t, "/", http.StatusOK), func(n *html.Node) bool { return n.Data == "html" })[0]
	if got := attribute(root, "data-stats-url"); got != statsURL {
		t.Errorf("the URL of the statistics is %q", got)
	}
	if got := attribute(root, "data-assets"); !strings.HasPrefix(got, "/assets/") {
		t.Errorf("the assets are at %q", got)
	}
}
