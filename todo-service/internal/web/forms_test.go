package web_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"example.com/todo/platform/apperr"
	"example.com/todo/todo-service/internal/task"
)

// failureOf returns the text of the section about a failure.
func failureOf(t testing.TB, root *html.Node) string {
	t.Helper()
	found := elements(root, func(n *html.Node) bool { return attribute(n, "class") == "failure" })
	if len(found) != 1 {
		t.Fatalf("%d failures", len(found))
	}
	return text(found[0])
}

func TestFormsChangeTasksWithoutAScript(t *testing.T) {
	t.Parallel()
	f := newFixture()
	root := f.document(t, "/", http.StatusOK)
	if to := wantRedirect(t, f.press(t, root, button(t, root, "Add"), url.Values{"title": {" Learn Go "}, "priority": {"50"}})); to != "/" {
		t.Errorf("adding leads to %s", to)
	}
	want := task.Task{ID: 1, Title: "Learn Go", Priority: 50, CreatedAt: start, Version: 1}
	if got := f.get(t, 1); got != want {
		t.Fatalf("stored %+v", got)
	}
	root = f.document(t, "/", http.StatusOK)
	wantRedirect(t, f.press(t, root, checkbox(t, root, "Learn Go"), nil))
	if got := f.get(t, 1); !got.Done || got.Version != 2 {
		t.Errorf("completed: %+v", got)
	}
	root = f.document(t, "/", http.StatusOK)
	wantRedirect(t, f.press(t, root, checkbox(t, root, "Learn Go"), nil))
	if got := f.get(t, 1); got.Done || got.Version != 3 {
		t.Errorf("reopened: %+v", got)
	}
	root = f.document(t, "/?task=1", http.StatusOK)
	wantRedirect(t, f.press(t, root, button(t, root, "Save"), url.Values{"title": {"Learn Go well"}, "priority": {"0"}}))
	if got := f.get(t, 1); got.Title != "Learn Go well" || got.Priority != 0 {
		t.Errorf("edited: %+v", got)
	}
	root = f.document(t, "/", http.StatusOK)
	wantRedirect(t, f.press(t, root, button(t, root, "Delete"), nil))
	if got := titles(f.document(t, "/", http.StatusOK)); len(got) > 0 {
		t.Errorf("deleted, and shown: %q", got)
	}
	if f.limited != 5 {
		t.Errorf("the limiter counted %d requests, want the 5 forms", f.limited)
	}
}

func TestFormsLeadBackToTheSelection(t *testing.T) {
	t.Parallel()
	f := newFixture()
	f.create(t, "A1", 0)
	const selection = "/?done=false&q=a"
	root := f.document(t, selection, http.StatusOK)
	for name, control := range map[string]*html.Node{"adding": button(t, root, "Add"), "completing": checkbox(t, root, "A1"), "deleting": button(t, root, "Delete")} {
		var typed url.Values
		if name == "adding" {
			typed = url.Values{"title": {"A2"}}
		} else {
			f.create(t, "A", 0)
		}
		if to := wantRedirect(t, f.press(t, root, control, typed)); name != "adding" && to != selection || name == "adding" && to != selection {
			t.Errorf("%s leads to %s", name, to)
		}
		f = newFixture()
		f.create(t, "A1", 0)
	}
	for list, want := range map[string]string{
		"":                          "/",
		"done=true":                 "/?done=true",
		"task=7&q=%22":              "/?q=%22",
		"//evil.example/":           "/",
		"https://evil.example/?q=x": "/",
		"q=//evil.example":          "/?q=%2F%2Fevil.example",
		"%zz":                       "/",
		"done=true&%zz":             "/",
		"done=maybe":                "/",
		"sort=priority&after=7":     "/",
	} {
		got := newFixture().post("/page/tasks", url.Values{"title": {"A"}, "priority": {"0"}, "list": {list}})
		if to := wantRedirect(t, got); to != want {
			t.Errorf("list %q leads to %s", list, to)
		}
	}
}

func TestFormSentTwiceAddsOneTask(t *testing.T) {
	t.Parallel()
	f := newFixture()
	root := f.document(t, "/", http.StatusOK)
	for range 2 {
		wantRedirect(t, f.press(t, root, button(t, root, "Add"), url.Values{"title": {"A"}}))
	}
	if got := titles(f.document(t, "/", http.StatusOK)); !slices.Equal(got, []string{"A"}) {
		t.Errorf("added %q", got)
	}
	got := f.press(t, root, button(t, root, "Add"), url.Values{"title": {"B"}})
	root = got.parse(t)
	if want := "Not saved This form has already added another task. Send it once more to add this one too."; got.Status != http.StatusUnprocessableEntity || failureOf(t, root) != want {
		t.Errorf("%d: %s", got.Status, failureOf(t, root))
	}
	wantRedirect(t, f.press(t, root, button(t, root, "Add"), nil))
	if got := titles(f.document(t, "/", http.StatusOK)); !slices.Equal(got, []string{"A", "B"}) {
		t.Errorf("added %q", got)
	}
}

func TestInvalidTitleIsAnsweredBesideItsField(t *testing.T) {
	t.Parallel()
	for title, want := range map[string]string{
		"  ":                     "The title must not be empty.",
		strings.Repeat("x", 501): "The title must have at most 500 characters, has 501.",
		"a\x00b":                 "The title must not contain control characters.",
		"a\xffb":                 "The title must be valid UTF-8.",
	} {
		f := newFixture()
		f.create(t, "A", 30)
		for target, form := range map[string]struct{ button, field, problem string }{
			"/":                   {"Add", "new-title", "new-problem"},
			"/?done=false&task=1": {"Save", "edit-title", "edit-problem"},
		} {
			root := f.document(t, target, http.StatusOK)
			got := f.press(t, root, button(t, root, form.button), url.Values{"title": {title}, "priority": {"75"}})
			if got.Status != http.StatusUnprocessableEntity {
				t.Fatalf("%s %q: %d", form.button, title, got.Status)
			}
			root = got.parse(t)
			field := element(t, root, form.field)
			if problem := text(element(t, root, form.problem)); problem != want || attribute(field, "aria-describedby") != form.problem || attribute(field, "aria-invalid") != "true" {
				t.Errorf("%s %q: %q", form.button, title, problem)
			}
			// HTML has neither U+0000 nor invalid UTF-8.
			typed := strings.ToValidUTF8(strings.ReplaceAll(title, "\x00", "\ufffd"), "\ufffd")
			if kept := value(field); kept != typed || value(element(t, root, strings.Replace(form.field, "title", "priority", 1))) != "75" {
				t.Errorf("%s %q: the form has %q", form.button, title, kept)
			}
		}
		if got := f.get(t, 1); got.Version != 1 {
			t.Errorf("%q was stored", got.Title)
		}
	}
}

func TestFailedChangeIsAnsweredWithASentence(t *testing.T) {
	t.Parallel()
	gone := func(f *fixture, t *testing.T) {
		if err := f.tasks.Delete(t.Context(), owner, 1, nil); err != nil {
			t.Fatal(err)
		}
	}
	limited := func(f *fixture, _ *testing.T) { f.refusal = 11500 * time.Millisecond }
	away := func(f *fixture, _ *testing.T) {
		f.store.err = apperr.New(apperr.Unavailable, "the database did not answer; try again").WithCause(errors.New("secret"))
	}
	defect := func(f *fixture, _ *testing.T) { f.store.err = errors.New("secret") }
	for name, test := range map[string]struct {
		arrange func(*fixture, *testing.T)
		status  int
		retry   string
		want    string
	}{
		"limited":   {limited, 429, "12", "Not saved: too many requests Too many requests. Wait 12 seconds, then send it again."},
		"away":      {away, 503, "1", "Not confirmed The database did not answer. Send it again in 1 second: the change is made once, even if it is sent twice."},
		"a defect":  {defect, 500, "", "Something went wrong Something went wrong on our side. Try again. If it happens again, the log of the server says why, at the request "},
		"not there": {gone, 404, "", "Not saved There is no task 1. It may have been deleted meanwhile."},
	} {
		for _, control := range []string{"checkbox", "Delete", "Save", "Add"} {
			if name == "not there" && control == "Add" {
				continue
			}
			t.Run(name+" "+control, func(t *testing.T) {
				t.Parallel()
				f := newFixture()
				f.create(t, "A", 30)
				root := f.document(t, "/?done=false&task=1", http.StatusOK)
				key := value(keyField(t, root))
				pressed, typed := checkbox(t, root, "A"), url.Values(nil)
				if control != "checkbox" {
					pressed = button(t, root, control)
				}
				if control == "Save" || control == "Add" {
					typed = url.Values{"title": {"typed"}, "priority": {"75"}}
				}
				test.arrange(f, t)
				got := f.press(t, root, pressed, typed)
				if got.Status != test.status || got.Header.Get("Retry-After") != test.retry || strings.Contains(got.Body, "secret") {
					t.Errorf("%d, Retry-After %q", got.Status, got.Header.Get("Retry-After"))
				}
				root = got.parse(t)
				if failure := failureOf(t, root); !strings.HasPrefix(failure, test.want) {
					t.Errorf("%s", failure)
				}
				if status := test.status; status >= 500 != strings.Contains(f.log.String(), "error") {
					t.Errorf("%d is logged: %s", status, f.log)
				}
				if control == "Add" && value(keyField(t, root)) != key {
					t.Error("the form for adding has another idempotency key")
				}
				f.refusal, f.store.err = 0, nil
				repeated := repeatFailed(t, f, root, control, test.status)
				if repeated.Status != http.StatusSeeOther {
					t.Fatalf("repeated: %d", repeated.Status)
				}
				wantChanged(t, f, control)
			})
		}
	}
}

// keyField returns the field with the idempotency key of the form for adding.
func keyField(t testing.TB, root *html.Node) *html.Node {
	t.Helper()
	found := elements(root, func(n *html.Node) bool { return attribute(n, "name") == "key" })
	if len(found) != 1 || value(found[0]) == "" {
		t.Fatalf("%d idempotency keys", len(found))
	}
	return found[0]
}

// repeatFailed sends a failed change again from the page about the failure. What was typed
// is still there. A task that is gone cannot be changed: what was typed is then added.
func repeatFailed(t *testing.T, f *fixture, root *html.Node, control string, status int) response {
	t.Helper()
	again := "Try again"
	switch {
	case control == "Add" || control == "Save" && status == http.StatusNotFound:
		again = "Add"
	case control == "Save":
		again = "Save"
	case status == http.StatusNotFound:
		f.create(t, "A", 0)
		return response{Status: http.StatusSeeOther}
	}
	return f.press(t, root, button(t, root, again), nil)
}

func wantChanged(t *testing.T, f *fixture, control string) {
	t.Helper()
	all, _, err := f.tasks.List(t.Context(), owner, task.Query{})
	if err != nil {
		t.Fatal(err)
	}
	newest := task.Task{}
	if len(all) > 0 {
		newest = all[len(all)-1]
	}
	switch control {
	case "checkbox":
		if !newest.Done && newest.ID == 1 {
			t.Error("the task is open")
		}
	case "Delete":
		if newest.ID == 1 {
			t.Error("the task is still there")
		}
	default:
		if newest.Title != "typed" || newest.Priority != 75 {
			t.Errorf("stored %q with priority %d", newest.Title, newest.Priority)
		}
	}
}

func TestChangedMeanwhileShowsBothStates(t *testing.T) {
	t.Parallel()
	for control, test := range map[string]struct{ want, again string }{
		"checkbox": {"Your change, not made mark it as done Leave it as it is now Mark it as done anyway", "Mark it as done anyway"},
		"Delete":   {"Your change, not made delete it Leave it as it is now Delete it anyway", "Delete it anyway"},
		"Save":     {"Your change, not made title “typed”, priority urgent Leave it as it is now", "Save"},
	} {
		t.Run(control, func(t *testing.T) {
			t.Parallel()
			f := newFixture()
			f.create(t, "A", 30)
			root := f.document(t, "/?done=false&task=1", http.StatusOK)
			pressed, typed := checkbox(t, root, "A"), url.Values(nil)
			if control != "checkbox" {
				pressed = button(t, root, control)
			}
			if control == "Save" {
				typed = url.Values{"title": {"typed"}, "priority": {"75"}}
			}
			f.change(t, 1, task.Change{Title: new("B"), Priority: new(0)})
			got := f.press(t, root, pressed, typed)
			root = got.parse(t)
			want := "Not saved: changed meanwhile Task 1 is at version 2, not 1. Compare both states and choose. Now B, priority low, open " + test.want
			if failure := failureOf(t, root); got.Status != http.StatusPreconditionFailed || failure != want {
				t.Errorf("%d: %s", got.Status, failure)
			}
			if to := attribute(link(t, root, "Leave it as it is now"), "href"); to != "/?done=false" {
				t.Errorf("leaving leads to %s", to)
			}
			if now := f.get(t, 1); now.Version != 2 {
				t.Errorf("stored %+v", now)
			}
			wantRedirect(t, f.press(t, root, button(t, root, test.again), nil))
			wantChanged(t, f, control)
		})
	}
}

func TestCountedFormHasTheHeadersOfTheRateLimit(t *testing.T) {
	t.Parallel()
	f := newFixture()
	for _, refusal := range []time.Duration{0, time.Second} {
		f.refusal = refusal
		got := f.post("/page/tasks", url.Values{"title": {"A"}, "priority": {"0"}})
		if got.Header.Get("RateLimit") == "" || got.Header.Get("RateLimit-Policy") == "" {
			t.Errorf("%d has no headers of the rate limit", got.Status)
		}
	}
}

func TestChangeThatIsMadeAlreadyIsNoConflict(t *testing.T) {
	t.Parallel()
	f := newFixture()
	f.create(t, "A", 30)
	root := f.document(t, "/", http.StatusOK)
	for range 2 {
		wantRedirect(t, f.press(t, root, checkbox(t, root, "A"), nil))
	}
	if got := f.get(t, 1); got.Version != 2 || !got.Done {
		t.Errorf("stored %+v", got)
	}
}

func TestRequestsThatAreNoFormsOfThePageAreRefused(t *testing.T) {
	t.Parallel()
	const form = "application/x-www-form-urlencoded"
	for name, test := range map[string]struct {
		header []string
		body   string
		status int
		want   string
	}{
		"of another site":           {[]string{"Content-Type", form, "Sec-Fetch-Site", "cross-site"}, "title=A&priority=0", 403, "page of another site"},
		"of another port":           {[]string{"Content-Type", form, "Sec-Fetch-Site", "same-site"}, "title=A&priority=0", 403, "page of another site"},
		"of another origin":         {[]string{"Content-Type", form, "Origin", "http://evil.example"}, "title=A&priority=0", 403, "page of another site"},
		"of an origin without name": {[]string{"Content-Type", form, "Origin", "null"}, "title=A&priority=0", 403, "page of another site"},
		"JSON":                      {[]string{"Content-Type", "application/json"}, `{"title":"A"}`, 415, "Content-Type"},
		"with a file":               {[]string{"Content-Type", "multipart/form-data; boundary=x"}, "--x--", 415, "Content-Type"},
		"without a type":            {nil, "title=A&priority=0", 415, "Content-Type"},
		"too large":                 {[]string{"Content-Type", form}, "title=" + strings.Repeat("A", 64<<10), 413, "64 KiB"},
		"malformed":                 {[]string{"Content-Type", form}, "title=%zz", 400, "cannot be decoded"},
	} {
		for _, target := range []string{"/page/tasks", "/page/tasks/1", "/page/tasks/1/complete", "/page/tasks/1/reopen", "/page/tasks/1/delete"} {
			f := newFixture()
			f.create(t, "B", 0)
			got := f.send(httptest.NewRequest(http.MethodPost, target, strings.NewReader(test.body)), test.header...)
			if got.Status != test.status || !strings.Contains(text(got.parse(t)), test.want) {
				t.Errorf("a form %s to %s: %d %s", name, target, got.Status, got.Body)
			}
			if list := titles(f.document(t, "/", http.StatusOK)); !slices.Equal(list, []string{"B"}) || f.get(t, 1).Version != 1 {
				t.Errorf("a form %s to %s made a change", name, target)
			}
		}
	}
}

func TestFormsOfBrowsersAndOfCommandsAreAccepted(t *testing.T) {
	t.Parallel()
	for name, header := range map[string][]string{
		"the page":                            {"Sec-Fetch-Site", "same-origin", "Origin", "http://localhost:8080"},
		"a browser without Sec-Fetch-Site":    {"Origin", "http://localhost:8080"},
		"a proxy with another scheme":         {"Origin", "https://localhost:8080"},
		"curl":                                nil,
		"a browser that names the characters": {"Content-Type", "application/x-www-form-urlencoded; charset=UTF-8"},
	} {
		got := newFixture().post("/page/tasks", url.Values{"title": {"A"}, "priority": {"0"}}, header...)
		if got.Status != http.StatusSeeOther {
			t.Errorf("%s: %d", name, got.Status)
		}
	}
}

func TestInvalidFieldsOfAFormAreAnswered(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		target string
		fields url.Values
		want   string
	}{
		{"/page/tasks", url.Values{"title": {"A"}}, "Priority must be a whole number."},
		{"/page/tasks", url.Values{"title": {"A"}, "priority": {"101"}}, "Priority must be from 0 to 100."},
		{"/page/tasks", url.Values{"title": {"A"}, "priority": {"1"}, "key": {"ü"}}, "Idempotency-Key must be 1 to 255 visible ASCII characters"},
		{"/page/tasks/x/complete", nil, "Id must be a whole number from 1 to 9223372036854775807."},
		{"/page/tasks/0/delete", nil, "Id must be a whole number"},
		{"/page/tasks/x", url.Values{"title": {"A"}, "priority": {"1"}}, "Id must be a whole number"},
		{"/page/tasks/1/complete", url.Values{"version": {"x"}}, "Version must be a whole number"},
		{"/page/tasks/1", url.Values{"title": {"A"}, "priority": {"high"}}, "Priority must be a whole number."},
	} {
		f := newFixture()
		f.create(t, "B", 0)
		got := f.post(test.target, test.fields)
		if failure := failureOf(t, got.parse(t)); got.Status != http.StatusUnprocessableEntity || !strings.Contains(failure, test.want) {
			t.Errorf("%s %v: %d %s", test.target, test.fields, got.Status, failure)
		}
	}
}

func TestAddressOfAFormLeadsToTheList(t *testing.T) {
	t.Parallel()
	for _, target := range []string{"/page/tasks", "/page/tasks/1/complete", "/page/other"} {
		if to := wantRedirect(t, newFixture().request(http.MethodGet, target)); to != "/" {
			t.Errorf("%s leads to %s", target, to)
		}
	}
}
