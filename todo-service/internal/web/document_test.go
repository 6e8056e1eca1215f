package web_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/html"

	"example.com/todo/platform/apperr"
	"example.com/todo/todo-service/internal/task"
)

func TestDocumentHasARowForEachTask(t *testing.T) {
	t.Parallel()
	f := newFixture()
	f.create(t, "Learn Go", 50)
	f.create(t, "Learn gRPC", 0)
	f.change(t, 1, task.Change{Done: new(true)})
	f.now = start.Add(3 * time.Hour)
	root := f.document(t, "/", http.StatusOK)
	rows := elements(element(t, root, "tasks"), func(n *html.Node) bool { return n.Data == "li" })
	if len(rows) != 2 {
		t.Fatalf("%d rows", len(rows))
	}
	want := map[string]string{"data-id": "1", "data-version": "2", "data-priority": "50", "data-done": "true", "data-created": "2026-01-15T10:00:00Z"}
	for name, value := range want {
		if got := attribute(rows[0], name); got != value {
			t.Errorf("%s is %q, want %q", name, got, value)
		}
	}
	if got := text(rows[0]); got != "Learn Go high 3 h Details Delete" {
		t.Errorf("the row reads %q", got)
	}
	for title, checked := range map[string]string{"Learn Go": "true", "Learn gRPC": "false"} {
		if got := attribute(checkbox(t, root, title), "aria-checked"); got != checked {
			t.Errorf("%s: aria-checked is %q", title, got)
		}
	}
	moment := elements(rows[0], func(n *html.Node) bool { return n.Data == "time" })[0]
	if attribute(moment, "datetime") != "2026-01-15T10:00:00Z" || attribute(moment, "title") != "15 Jan 2026, 10:00 UTC" {
		t.Errorf("the time has %v", moment.Attr)
	}
}

func TestTitlesAreText(t *testing.T) {
	t.Parallel()
	for _, title := range []string{
		`<script>alert(1)</script>`, `<img src=x onerror=alert(1)>`, `"><b>bold`, `'"&amp;`, `{{.Assets}}`, `</template></li></ul>`,
		"مهمة جديدة", "Buy חלב and Brot", "👩‍👩‍👧‍👦 family", strings.Repeat("é", 500),
	} {
		f := newFixture()
		f.create(t, title, 0)
		root := f.document(t, "/", http.StatusOK)
		if got := titles(root); !slices.Equal(got, []string{title}) {
			t.Errorf("%q is shown as %q", title, got)
		}
		if got := attribute(element(t, root, "title-1"), "dir"); got != "auto" {
			t.Errorf("the direction of a title is %q", got)
		}
		root = f.document(t, "/?task=1", http.StatusOK)
		if got := value(element(t, root, "edit-title")); got != title {
			t.Errorf("%q is edited as %q", title, got)
		}
		if scripts := elements(root, func(n *html.Node) bool { return n.Data == "script" || n.Data == "img" || n.Data == "b" }); len(scripts) != 2 {
			t.Errorf("%q becomes %d elements", title, len(scripts)-2)
		}
	}
}

func TestFiltersSelectByStateAndCount(t *testing.T) {
	t.Parallel()
	f := newFixture()
	for _, title := range []string{"A1", "A2", "B"} {
		f.create(t, title, 0)
	}
	f.change(t, 2, task.Change{Done: new(true)})
	root := f.document(t, "/", http.StatusOK)
	for _, test := range []struct {
		name string
		want []string
	}{
		{"All 3", []string{"A1", "A2", "B"}},
		{"Open 2", []string{"A1", "B"}},
		{"Done 1", []string{"A2"}},
	} {
		filtered := f.document(t, attribute(link(t, root, test.name), "href"), http.StatusOK)
		if got := titles(filtered); !slices.Equal(got, test.want) {
			t.Errorf("%s: %q", test.name, got)
		}
		current := elements(filtered, func(n *html.Node) bool { return has(n, "aria-current") })
		if len(current) != 1 || text(current[0]) != test.name {
			t.Errorf("%s: %d filters are current", test.name, len(current))
		}
	}
}

func TestSearchKeepsTheFilter(t *testing.T) {
	t.Parallel()
	f := newFixture()
	for _, title := range []string{"A1", "A2", "B"} {
		f.create(t, title, 0)
	}
	f.change(t, 2, task.Change{Done: new(true)})
	root := f.document(t, "/?done=false", http.StatusOK)
	root = f.press(t, root, button(t, root, "Search"), map[string][]string{"q": {"a"}}).parse(t)
	if got := titles(root); !slices.Equal(got, []string{"A1"}) {
		t.Errorf("found %q", got)
	}
	if got := value(element(t, root, "search-text")); got != "a" {
		t.Errorf("the field has %q", got)
	}
	if got := attribute(link(t, root, "Done 1"), "href"); got != "/?done=true&q=a" {
		t.Errorf("the filter leads to %s", got)
	}
	if f.searches != 1 {
		t.Errorf("%d searches", f.searches)
	}
}

func TestSortKeepsFilterAndSearch(t *testing.T) {
	t.Parallel()
	f := newFixture()
	for i, title := range []string{"A1", "B", "A2", "A3"} {
		f.create(t, title, []int{50, 0, 75, 0}[i])
	}
	f.change(t, 4, task.Change{Done: new(true)})
	if got := titles(f.document(t, "/", http.StatusOK)); !slices.Equal(got, []string{"A2", "A1", "B", "A3"}) {
		t.Errorf("without an order: %q", got)
	}
	root := f.document(t, "/?done=false&q=a", http.StatusOK)
	for sort, want := range map[string][]string{"-priority": {"A2", "A1"}, "priority": {"A1", "A2"}, "-id": {"A2", "A1"}, "id": {"A1", "A2"}} {
		sorted := f.press(t, root, button(t, root, "Apply"), map[string][]string{"sort": {sort}}).parse(t)
		if got := titles(sorted); !slices.Equal(got, want) {
			t.Errorf("sorted by %s: %q", sort, got)
		}
		if got := value(element(t, sorted, "sort")); got != sort {
			t.Errorf("sorted by %s: the field has %q", sort, got)
		}
		for _, name := range []string{"Search", "Apply"} {
			if got := titles(f.press(t, sorted, button(t, sorted, name), nil).parse(t)); !slices.Equal(got, want) {
				t.Errorf("sorted by %s, then %s: %q", sort, name, got)
			}
		}
		if got := attribute(link(t, sorted, "All 4"), "href"); got != "/?q=a&sort="+sort {
			t.Errorf("the filter leads to %s", got)
		}
	}
}

func TestEmptyListSaysWhatToDo(t *testing.T) {
	t.Parallel()
	for target, want := range map[string]struct{ shown, hidden string }{
		"/":                  {"empty", "nothing-found"},
		"/?done=":            {"empty", "nothing-found"},
		"/?q=x":              {"nothing-found", "empty"},
		"/?done=1":           {"", ""},
		"/?sort=id&after=99": {"nothing-found", "empty"},
	} {
		f := newFixture()
		status := http.StatusOK
		if want.shown == "" {
			status = http.StatusUnprocessableEntity
		}
		root := f.document(t, target, status)
		for _, id := range []string{"empty", "nothing-found"} {
			if shown := !has(element(t, root, id), "hidden"); shown != (id == want.shown) {
				t.Errorf("%s: %q is shown: %t", target, id, shown)
			}
		}
		f.create(t, "x", 0)
		if status == http.StatusOK && target != "/?sort=id&after=99" {
			root = f.document(t, target, status)
			if !has(element(t, root, "empty"), "hidden") || !has(element(t, root, "nothing-found"), "hidden") {
				t.Errorf("%s: a list with rows is called empty", target)
			}
		}
	}
}

func TestLinksLeadThroughThePages(t *testing.T) {
	t.Parallel()
	f := newFixture()
	var want []string
	for i := range 2*task.MaxLimit + 1 {
		want = append(want, fmt.Sprint("Task ", i+1))
		f.create(t, want[i], 0)
	}
	var got []string
	slices.Reverse(want)
	const first = "/?done=false&sort=-id"
	target := first
	for range 3 {
		root := f.document(t, target, http.StatusOK)
		got = append(got, titles(root)...)
		back := elements(root, func(n *html.Node) bool { return n.Data == "a" && text(n) == "First page" })
		if (target == first) != (len(back) == 0) || len(back) > 0 && attribute(back[0], "href") != first {
			t.Errorf("%s: %d links to the first page", target, len(back))
		}
		if len(got) < len(want) {
			target = attribute(link(t, root, "Next page"), "href")
		} else if found := elements(root, func(n *html.Node) bool { return attribute(n, "rel") == "next" }); len(found) > 0 {
			t.Error("the last page leads to another one")
		}
		if got := text(element(t, root, "filters")); got != "All 2001 Open 2001 Done 0" {
			t.Errorf("%s: %q", target, got)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("the pages have %d tasks", len(got))
	}
}

func TestDocumentWithoutItsStoreHasFormsAndASentence(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		err    error
		status int
		retry  string
		want   string
	}{
		"away":     {apperr.New(apperr.Unavailable, "the database is not reachable").WithCause(errors.New("dial tcp 10.0.0.7")), 503, "1", "The tasks cannot be shown The database is not reachable. Try again in 1 second. Try again"},
		"busy":     {&apperr.Error{Kind: apperr.Unavailable, Message: "too many requests work on the database", RetryAfter: 1500 * time.Millisecond}, 503, "2", "The tasks cannot be shown Too many requests work on the database. Try again in 2 seconds. Try again"},
		"a defect": {errors.New("pq: secret"), 500, "", "The tasks cannot be shown Something went wrong on our side. Try again. If it happens again, the log of the server says why, at the request abc. Try again"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture()
			f.store.err = test.err
			got := f.request(http.MethodGet, "/?done=true", "X-Request-Id", "abc")
			if got.Status != test.status || got.Header.Get("Retry-After") != test.retry {
				t.Errorf("%d, Retry-After %q", got.Status, got.Header.Get("Retry-After"))
			}
			root := got.parse(t)
			failure := elements(root, func(n *html.Node) bool { return attribute(n, "class") == "failure" })
			if len(failure) != 1 || text(failure[0]) != test.want {
				t.Fatalf("got %q", text(failure[0]))
			}
			if got := attribute(link(t, root, "Try again"), "href"); got != "/?done=true" {
				t.Errorf("the link leads to %s", got)
			}
			if formOf(t, root, button(t, root, "Add")) == nil || !has(element(t, root, "empty"), "hidden") {
				t.Error("the document is not useful")
			}
			if strings.Contains(got.Body, "secret") || strings.Contains(got.Body, "10.0.0.7") || !strings.Contains(f.log.String(), test.err.Error()) {
				t.Errorf("the cause must be in the log alone: %s", f.log)
			}
		})
	}
}

func TestDocumentDoesNotWaitForAFrozenStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		f.store.frozen = true
		begun := time.Now()
		got := f.request(http.MethodGet, "/")
		if took := time.Since(begun); got.Status != http.StatusServiceUnavailable || took != 2*time.Second {
			t.Errorf("%d after %v", got.Status, took)
		}
		if root := got.parse(t); !strings.Contains(failureOf(t, root), "could not be finished in time") {
			t.Errorf("the sentence is %q", failureOf(t, root))
		}
	})
}

func TestInvalidQueryIsAnsweredWithASentence(t *testing.T) {
	t.Parallel()
	for target, want := range map[string]string{
		"/?done=maybe":                    "The tasks cannot be shown Done must be true or false. Use the links and the search of this page.",
		"/?sort=title":                    "The tasks cannot be shown Sort must be id, -id, priority or -priority. Use the links and the search of this page.",
		"/?sort=priority&after=7":         "The tasks cannot be shown After must be taken from the Link of a page with the same sort. Use the links and the search of this page.",
		"/?sort=id&after=x":               "The tasks cannot be shown After must be a whole number from 0 to 9223372036854775807. Use the links and the search of this page.",
		"/?q=" + strings.Repeat("x", 201): "The tasks cannot be shown Q must be at most 200 characters. Use the links and the search of this page.",
		"/?task=x":                        "The task cannot be shown Task must be a whole number from 1 to 9223372036854775807. Use the links and the search of this page.",
	} {
		root := newFixture().document(t, target, http.StatusUnprocessableEntity)
		if got := text(elements(root, func(n *html.Node) bool { return attribute(n, "class") == "failure" })[0]); got != want {
			t.Errorf("%s: %q", target, got)
		}
	}
	root := newFixture().document(t, "/?task=7", http.StatusNotFound)
	if got := text(elements(root, func(n *html.Node) bool { return attribute(n, "class") == "failure" })[0]); got != "The task cannot be shown There is no task 7. It may have been deleted." {
		t.Errorf("an unknown task: %q", got)
	}
}

func TestUnknownParametersAreIgnored(t *testing.T) {
	t.Parallel()
	f := newFixture()
	f.create(t, "A", 0)
	if got := titles(f.document(t, "/?utm_source=mail", http.StatusOK)); len(got) != 1 {
		t.Errorf("got %q", got)
	}
}

func TestDetailsHaveTheHistoryInSentences(t *testing.T) {
	t.Parallel()
	f := newFixture()
	f.create(t, "Learn Go", 0)
	f.change(t, 1, task.Change{Title: new("Learn Go well"), Priority: new(60)})
	f.change(t, 1, task.Change{Done: new(true)})
	f.change(t, 1, task.Change{Done: new(false), Title: new("Learn Go")})
	details := func() string { return text(element(t, f.document(t, "/?task=1", http.StatusOK), "history")) }
	const at = " 15 Jan 2026, 10:00 UTC "
	want := "History Created with priority low (0): Learn Go" + at + "Renamed to Learn Go well" + at + "Priority changed from low (0) to high (60)" + at +
		"Completed" + at + "Reopened" + at + "Renamed to Learn Go" + at + "Close"
	form := "Title Priority of this task low normal high urgent Save "
	if got := strings.Replace(details(), form, "", 1); got != want {
		t.Errorf("the details are\n%s, want\n%s", got, want)
	}
	if err := f.tasks.Delete(t.Context(), owner, 1, nil); err != nil {
		t.Fatal(err)
	}
	if got := details(); got != strings.Replace(want, "Close", "Deleted"+at+"Close", 1) {
		t.Errorf("a deleted task has the details\n%s", got)
	}
}

func TestRowsLeadToTheirDetails(t *testing.T) {
	t.Parallel()
	f := newFixture()
	f.create(t, "A", 0)
	root := f.document(t, "/?done=false&q=a", http.StatusOK)
	target, place, _ := strings.Cut(attribute(link(t, root, "Details"), "href"), "#")
	root = f.document(t, target, http.StatusOK)
	if has(element(t, root, place), "hidden") || value(element(t, root, "edit-title")) != "A" {
		t.Errorf("%s does not show the details", target)
	}
	if got := attribute(link(t, root, "Close"), "href"); got != "/?done=false&q=a" {
		t.Errorf("the details are closed by %s", got)
	}
}
