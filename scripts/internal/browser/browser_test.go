package browser

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/todo/scripts/internal/poll"

	"github.com/chromedp/chromedp/kb"

	"example.com/todo/scripts/internal/console"
	"example.com/todo/scripts/internal/toolchain"
)

const (
	within       = 30 * time.Second
	pollInterval = 20 * time.Millisecond
)

// documents are the pages of the tests, by path.
var documents = map[string]string{
	"/good": `<title>Good</title><main><h1>Good</h1>
		<label>Name <input id="name"></label>
		<button id="one" onclick="this.textContent += '!'">One</button>
		<button ontouchstart="this.dataset.touched = 1" onclick="this.dataset.clicked = 1">Two</button>
		<button hidden>Three</button><ul aria-label="Things"><li><button>Four</button></li></ul><button>Four</button>
		<div style="position: relative"><button>Below</button><div id="cover" style="position: absolute; inset: 0"></div></div></main>`,
	"/bad": `<title>Bad</title><main><h1>Bad</h1><img src="data:image/gif;base64,R0lGODlhAQABAAAAACw="><button></button></main>`,
	"/wrong": `<title>Wrong</title><script>console.error('an error'); fetch('/absent'); setTimeout(() => { throw new Error('uncaught') });
		new SharedWorker('/worker.js').port.start();</script>`,
	"/shared":  `<title>Shared</title><script>new SharedWorker('/quiet.js').port.start();</script>`,
	"/strict":  `<title>Strict</title><main><h1>Strict</h1></main>`,
	"/refused": `<title>Refused</title><script src="/inner.js"></script><script>document.title = 'inline'</script>`,
	"/form":    `<title>Form</title><form method="get" action="/good"><button>Send</button></form><script>document.title = 'script'</script>`,
}

func serve(t *testing.T) string {
	t.Helper()
	release := make(chan struct{})
	var once sync.Once
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/javascript")
		switch r.URL.Path {
		case "/release":
			once.Do(func() { close(release) })
			return
		case "/quiet.js":
			return
		case "/worker.js":
			fmt.Fprint(w, "throw new Error('in the worker')")
			return
		case "/held":
			select {
			case <-release:
			case <-r.Context().Done():
			}
			return
		case "/inner.js":
			fmt.Fprint(w, "document.createElement('p').innerHTML = '<b>x</b>'")
			return
		}
		text, ok := documents[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		if r.URL.Path == "/strict" || r.URL.Path == "/refused" {
			w.Header().Set("Content-Security-Policy", "default-src 'self'; img-src data:; require-trusted-types-for 'script'")
		}
		fmt.Fprint(w, "<!DOCTYPE html><html lang=en><link rel=icon href='data:,'>"+text)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func open(t *testing.T, path string) *Tab {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	b, err := Launch(ctx)
	if errors.Is(err, ErrNotInstalled) && os.Getenv("CI") != "true" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	profile, err := b.NewProfile(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := profile.Close(); err != nil {
			t.Error(err)
		}
	})
	tab, err := profile.OpenTab()
	if err != nil {
		t.Fatal(err)
	}
	if err := tab.Navigate(serve(t) + path); err != nil {
		t.Fatal(err)
	}
	return tab
}

func eventually(t *testing.T, check func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	if err := poll.Until(ctx, check); err != nil {
		t.Fatal(err)
	}
}

func TestElementsAreFoundByRoleAndName(t *testing.T) {
	tab := open(t, "/good")
	for _, c := range []struct {
		element *Element
		want    int
	}{
		{tab.Element("button", "One"), 1},
		{tab.Element("button", "one"), 0},
		{tab.Matching("button", "^(One|Two)$"), 2},
		{tab.Element("button", "Three"), 0}, // hidden
		{tab.Element("textbox", "Name"), 1},
		{tab.Element("button", "Four"), 2},
		{tab.Element("list", "Things").Element("button", "Four"), 1},
		{tab.Element("list", "Nothing").Element("button", "Four"), 0},
		{tab.Selector("button"), 6},
		{tab.Element("list", "Nothing").Selector("li"), 0},
		{tab.Element("list", "Things").Selector("li"), 1},
	} {
		if n, err := c.element.Count(); err != nil || n != c.want {
			t.Errorf("%s: %d, %v; want %d", c.element, n, err, c.want)
		}
	}
	if n, err := tab.Element("button", "Four").Selector("*").Count(); !errors.Is(err, ErrNotReady) {
		t.Errorf("within one of two elements: %d, %v", n, err)
	}
	if err := tab.Element("button", "Four").Click(); !errors.Is(err, ErrNotReady) || !strings.Contains(err.Error(), "2 elements") {
		t.Errorf("a click on two elements: %v", err)
	}
	if err := tab.Element("button", "Five").Click(); !errors.Is(err, ErrNotReady) || !strings.Contains(err.Error(), "0 elements") {
		t.Errorf("a click on no element: %v", err)
	}
	if err := tab.Element("button", "Below").Click(); !errors.Is(err, ErrNotReady) || !strings.Contains(err.Error(), "cover") {
		t.Errorf("a click on a covered element: %v", err)
	}
}

func TestMouseKeyboardAndTouchReachThePage(t *testing.T) {
	tab := open(t, "/good")
	if err := tab.Element("button", "One").Click(); err != nil {
		t.Fatal(err)
	}
	if err := tab.Element("textbox", "Name").Focus(); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(tab.Press("learn"), tab.InsertText(" 🎉"), tab.Press(kb.Tab+kb.Enter)); err != nil {
		t.Fatal(err)
	}
	text, err := Evaluate[string](tab, "document.querySelector('#one').textContent + document.querySelector('#name').value")
	if err != nil || text != "One!!learn 🎉" {
		t.Errorf("the page has %q, %v", text, err)
	}
	if err := errors.Join(tab.SetTouch(true), tab.Element("button", "Two").Tap()); err != nil {
		t.Fatal(err)
	}
	data, err := Call[map[string]string](tab.Element("button", "Two"), "function() { return { ...this.dataset }; }")
	if err != nil || data["touched"] != "1" || data["clicked"] != "1" {
		t.Errorf("the touch: %v, %v", data, err)
	}
	if found := tab.profile.Problems(); len(found) > 0 {
		t.Errorf("problems: %v", found)
	}
}

func TestRequestsAreCountedUntilTheyEnd(t *testing.T) {
	tab := open(t, "/good")
	before, running := tab.Requests()
	if before != 1 || len(running) != 0 {
		t.Fatalf("after the load of a document %d requests were sent, and %q run", before, running)
	}
	for _, path := range []string{"/held", "/absent"} {
		if _, err := Evaluate[bool](tab, "(fetch('"+path+"'), true)"); err != nil {
			t.Fatal(err)
		}
	}
	awaitRunning := func(want string) {
		t.Helper()
		eventually(t, func() error {
			sent, running := tab.Requests()
			if sent < before+2 || !strings.HasSuffix(strings.Join(running, " "), want) || want == "" && len(running) > 0 {
				return fmt.Errorf("%d requests were sent, and %q run; want %q", sent, running, want)
			}
			return nil
		})
	}
	awaitRunning("/held")
	if _, err := Evaluate[bool](tab, "fetch('/release').then(() => true)"); err != nil {
		t.Fatal(err)
	}
	awaitRunning("")
}

// Chromium does not report the end of a request for a worker's script if the worker runs already.
func TestScriptOfASharedWorkerIsNoRequestOfItsTabs(t *testing.T) {
	first := open(t, "/good")
	address, err := Evaluate[string](first, "location.origin")
	if err != nil {
		t.Fatal(err)
	}
	second, err := first.profile.OpenTab()
	if err != nil {
		t.Fatal(err)
	}
	for _, tab := range []*Tab{first, second} {
		if err := tab.Navigate(address + "/shared"); err != nil {
			t.Fatal(err)
		}
		eventually(t, func() error {
			if _, running := tab.Requests(); len(running) > 0 {
				return fmt.Errorf("%q run", running)
			}
			return nil
		})
	}
}

func TestHiddenPageSeesThatItIsHidden(t *testing.T) {
	tab := open(t, "/good")
	awaitState := func(want string) {
		t.Helper()
		eventually(t, func() error {
			state, err := Evaluate[string](tab, "document.visibilityState")
			if err == nil && state != want {
				err = fmt.Errorf("the page is %s, want it %s", state, want)
			}
			return err
		})
	}
	awaitState("visible")
	show, err := tab.Hide()
	if err != nil {
		t.Fatal(err)
	}
	awaitState("hidden")
	if err := show(); err != nil {
		t.Fatal(err)
	}
	awaitState("visible")
}

func TestProblemsOfPageAndWorkerAreCollected(t *testing.T) {
	tab := open(t, "/wrong")
	var found []Problem
	for _, want := range []struct {
		kind ProblemKind
		text string
	}{{ProblemConsole, "an error"}, {ProblemException, "uncaught"}, {ProblemRequest, "404"}, {ProblemException, "in the worker"}} {
		eventually(t, func() error {
			found = append(found, tab.profile.Problems()...)
			if !slices.ContainsFunc(found, func(p Problem) bool { return p.Kind == want.kind && strings.Contains(p.Text, want.text) }) {
				return fmt.Errorf("no %s with %q among %v", want.kind, want.text, found)
			}
			return nil
		})
	}
}

func TestViolationsOfThePolicyAreProblems(t *testing.T) {
	tab := open(t, "/refused")
	var found []Problem
	for _, directive := range []string{"script-src-elem", "require-trusted-types-for"} {
		eventually(t, func() error {
			found = append(found, tab.profile.Problems()...)
			if !slices.ContainsFunc(found, func(p Problem) bool { return p.Kind == ProblemPolicy && strings.Contains(p.Text, directive) }) {
				return fmt.Errorf("no violation of %s among %v", directive, found)
			}
			return nil
		})
	}
}

func TestAuditFindsViolations(t *testing.T) {
	script := axeScript(t)
	tab := open(t, "/bad")
	violations, err := tab.Audit(script)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, v := range violations {
		ids = append(ids, v.ID)
	}
	if slices.Sort(ids); !slices.Equal(ids, []string{"button-name", "image-alt"}) {
		t.Errorf("violations: %v", violations)
	}
}

func TestAuditPassesUnderAStrictPolicy(t *testing.T) {
	script := axeScript(t)
	tab := open(t, "/strict")
	if violations, err := tab.Audit(script); err != nil || len(violations) > 0 {
		t.Errorf("the audit found %v, %v", violations, err)
	}
	if found := tab.profile.Problems(); len(found) > 0 {
		t.Errorf("the page or the audit caused %v", found)
	}
}

func TestPageWithoutScriptIsUsable(t *testing.T) {
	tab := open(t, "/good")
	address, err := Evaluate[string](tab, "location.origin")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(tab.DisableScript(), tab.Navigate(address+"/form")); err != nil {
		t.Fatal(err)
	}
	if title, err := Evaluate[string](tab, "document.title"); err != nil || title != "Form" {
		t.Errorf("the title is %q, %v: the script ran", title, err)
	}
	if err := tab.Element("button", "Send").Click(); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		_, err := tab.Element("button", "One").resolve()
		return err
	})
}

func TestScreenshotIsWritten(t *testing.T) {
	tab := open(t, "/good")
	path := filepath.Join(t.TempDir(), "new", "good.png")
	if err := errors.Join(tab.SetViewport(320, 480), tab.Screenshot(path)); err != nil {
		t.Fatal(err)
	}
	if content, err := os.ReadFile(path); err != nil || !strings.HasPrefix(string(content), "\x89PNG") {
		t.Errorf("the file is %.10q, %v", content, err)
	}
}

func axeScript(t *testing.T) string {
	t.Helper()
	tools, err := toolchain.New(console.Plain(t.Output()), os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	script, err := tools.Finder.Axe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return script
}
