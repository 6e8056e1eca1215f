package web_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"example.com/todo/todo-service/internal/task"
)

// Every title that may be stored is text, wherever the page has it.
func FuzzTitle(f *testing.F) {
	for _, title := range []string{`<b>`, `"'&amp;`, "\u202ea", "\u2028", "]]>", "-->", "</q></bdi>", "{{.}}", "a\u00a0 b", "\ufeffa", "`${a}`", "&lt", "+%2B"} {
		f.Add(title)
	}
	f.Fuzz(func(t *testing.T, title string) {
		page := newFixture()
		created, err := page.tasks.Create(t.Context(), owner, task.Draft{Title: title})
		if err != nil {
			t.Skip("refused")
		}
		page.change(t, 1, task.Change{Priority: new(1)})
		search := "/?task=1&q=" + url.QueryEscape(created.Title)
		if len([]rune(created.Title)) > task.MaxSearch {
			search = "/?task=1"
		}
		root := page.document(t, search, http.StatusOK)
		wantTitle(t, created.Title, element(t, root, "title-1"))
		wantTitle(t, created.Title, elements(root, func(n *html.Node) bool { return n.Data == "bdi" })...)
		if got := value(element(t, root, "edit-title")); got != created.Title {
			t.Errorf("%q is edited as %q", created.Title, got)
		}
		root = page.post("/page/tasks/1", url.Values{"title": {title + "!"}, "priority": {"1"}, "version": {"1"}}).parse(t)
		shown := elements(root, func(n *html.Node) bool { return n.Data == "dd" })
		if len(shown) == 2 { // otherwise the longer title is invalid
			if got := content(shown[1]); got != "title “"+title+"!”, priority normal" {
				t.Errorf("%q is wanted as %q", title, got)
			}
		}
		root = page.post("/page/tasks", url.Values{"title": {title}, "priority": {"101"}}).parse(t)
		if got := value(element(t, root, "new-title")); got != title {
			t.Errorf("%q was typed, and is %q", title, got)
		}
	})
}

func wantTitle(t *testing.T, want string, nodes ...*html.Node) {
	t.Helper()
	if len(nodes) == 0 {
		t.Error("the title is missing")
	}
	for _, n := range nodes {
		if got := content(n); got != want {
			t.Errorf("%q is shown as %q", want, got)
		}
	}
}

// content returns the text of an element as it is.
func content(node *html.Node) string {
	var b strings.Builder
	for n := range node.Descendants() {
		if n.Type == html.TextNode {
			b.WriteString(n.Data)
		}
	}
	return b.String()
}

// A form leads to the list, whatever list it names, and the list is a valid one.
func FuzzList(f *testing.F) {
	for _, list := range []string{"", "q=a&done=true", "sort=-priority&after=-priority.1.1", "//evil.example", `/\evil`, "q=%0d%0aA: b", "done=x", "%zz", "q=\xff", "task=1"} {
		f.Add(list)
	}
	f.Fuzz(func(t *testing.T, list string) {
		page := newFixture()
		target := wantRedirect(t, page.post("/page/tasks", url.Values{"title": {"A"}, "priority": {"1"}, "list": {list}}))
		parsed, err := url.Parse(target)
		if err != nil || parsed.Path != "/" || parsed.Host != "" || strings.ContainsAny(target, "\r\n\\ ") {
			t.Fatalf("%q leads to %q", list, target)
		}
		got := page.request(http.MethodGet, target)
		// The text of a search is checked with the search.
		if got.Status != http.StatusOK && parsed.Query().Get("q") == "" {
			t.Errorf("%q leads to %q, which is %d", list, target, got.Status)
		}
	})
}
