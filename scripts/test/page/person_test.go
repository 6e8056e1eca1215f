package page

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/todo/scripts/internal/poll"

	"example.com/todo/scripts/internal/browser"
)

// screenshotDir is not checked in.
var screenshotDir = absolute("../../../.dev/page")

func absolute(path string) string {
	path, err := filepath.Abs(path)
	if err != nil {
		panic(err)
	}
	return path
}

// person is a person with a browser: tabs on the page, and what may go wrong in them.
type person struct {
	*tab
	profile  *browser.Profile
	expected []expectation
	found    []browser.Problem
	plain    bool // without scripts
}

// expectation is a problem that a test causes.
type expectation struct {
	kind browser.ProblemKind
	text *regexp.Regexp
}

// tab is a tab on the page.
type tab struct {
	*browser.Tab
	t      *testing.T
	person *person
}

// arrive opens the page for a new person on a system without tasks but those that prepare makes. The page has read
// its list when arrive returns: a later change reaches it as an event.
func arrive(t *testing.T, prepare ...func()) *person {
	t.Helper()
	return arriveWith(t, mouse, prepare...)
}

// prepared is a person with a blank tab. When the test ends, it fails for every problem that it did not expect.
func prepared(t *testing.T, prepare ...func()) *person {
	t.Helper()
	clearTasks(t)
	for _, do := range prepare {
		do()
	}
	return newPerson(t)
}

// newPerson is prepared for a system with tasks.
func newPerson(t *testing.T) *person {
	t.Helper()
	system.todo.reset()
	system.stats.reset()
	profile, err := chromium.NewProfile(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	p := &person{profile: profile}
	p.expect(browser.ProblemRequest, networkChanged)
	t.Cleanup(func() {
		if t.Failed() && p.tab != nil {
			p.screenshot("failed " + t.Name())
		}
		for _, problem := range p.problems() {
			if !slices.ContainsFunc(p.expected, func(e expectation) bool {
				return e.kind == problem.Kind && e.text.MatchString(problem.Text+" "+problem.URL)
			}) {
				t.Errorf("the page has a problem: %s", problem)
			}
		}
		if err := profile.Close(); err != nil {
			t.Error(err)
		}
	})
	p.tab = p.openTab(t)
	return p
}

// openTab opens one more tab, which is blank.
func (p *person) openTab(t *testing.T) *tab {
	t.Helper()
	opened, err := p.profile.OpenTab()
	if err != nil {
		t.Fatal(err)
	}
	one := &tab{opened, t, p}
	one.do(one.SetViewport(1280, 800))
	return one
}

// expect allows problems of a kind whose text and address match a pattern.
func (p *person) expect(kind browser.ProblemKind, pattern string) {
	p.expected = append(p.expected, expectation{kind, regexp.MustCompile(pattern)})
}

// expectStatus allows responses with a status of failure: the browser writes each to the console.
func (p *person) expectStatus(status int) {
	p.expect(browser.ProblemRequest, fmt.Sprintf(`status of %d\b`, status))
}

// expectBreak allows requests that end without a response.
func (p *person) expectBreak() { p.expect(browser.ProblemRequest, `\bnet::ERR_`) }

// do fails the test for an error.
func (one *tab) do(err error) {
	one.t.Helper()
	if err != nil {
		one.t.Fatal(err)
	}
}

// networkChanged is what Chromium says of requests that it ends because the machine has got or lost a network
// interface, as when a container starts. No page can prevent it.
const networkChanged = "ERR_NETWORK_CHANGED"

// problems returns what went wrong until now.
func (p *person) problems() []browser.Problem {
	p.found = append(p.found, p.profile.Problems()...)
	return p.found
}

// networkChanges returns how many requests have ended because the machine's network changed.
func (p *person) networkChanges() (n int) {
	for _, problem := range p.problems() {
		if strings.Contains(problem.Text, networkChanged) {
			n++
		}
	}
	return n
}

// visit opens a path of the page, and waits until its script, if it has one, has started.
func (one *tab) visit(path string) {
	one.t.Helper()
	eventually(one.t, func() error {
		before := one.person.networkChanges()
		err := one.Navigate(system.todo.url() + path)
		if err == nil && !one.person.plain {
			err = one.awaitScript(before)
		}
		if err != nil && one.person.networkChanges() == before && !strings.Contains(err.Error(), networkChanged) {
			return poll.Permanent(err)
		}
		return err
	})
}

// awaitScript waits until the page's script has started. It gives up when requests were lost.
func (one *tab) awaitScript(networkChanges int) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	return poll.Until(ctx, func() error {
		if one.person.networkChanges() != networkChanges {
			return poll.Permanent(errors.New("the machine's network has changed"))
		}
		ready, err := browser.Evaluate[bool](one.Tab, "document.querySelector('[data-connection]') !== null")
		if err == nil && !ready {
			err = errors.New("the script has not started")
		}
		return err
	})
}

// awaitLive waits until the page shows changes as they happen.
func (one *tab) awaitLive() { one.awaitConnection("live") }

func (one *tab) awaitConnection(state string) {
	one.t.Helper()
	one.await(one.Selector("[data-connection='" + state + "']"))
}

// try repeats an action until it succeeds: an element may not be there yet, or may still move.
func (one *tab) try(action func() error) {
	one.t.Helper()
	eventually(one.t, func() error {
		err := action()
		if err != nil && !errors.Is(err, browser.ErrNotReady) {
			return poll.Permanent(err)
		}
		return err
	})
}

// click clicks an element as soon as it can be reached.
func (one *tab) click(e *browser.Element) {
	one.t.Helper()
	one.try(e.Click)
}

// await waits until exactly one element matches.
func (one *tab) await(e *browser.Element) { one.awaitCount(e, 1) }

// awaitNone waits until no element matches.
func (one *tab) awaitNone(e *browser.Element) { one.awaitCount(e, 0) }

func (one *tab) awaitCount(e *browser.Element, want int) {
	one.t.Helper()
	eventually(one.t, func() error {
		n, err := e.Count()
		if err == nil && n != want {
			err = fmt.Errorf("%d elements are %s, want %d", n, e, want)
		}
		return err
	})
}

// awaitText waits until the visible text of an element contains a text.
func (one *tab) awaitText(e *browser.Element, want string) {
	one.t.Helper()
	eventually(one.t, func() error {
		text, err := browser.Call[string](e, "function() { return this.innerText; }")
		if err == nil && !strings.Contains(text, want) {
			err = fmt.Errorf("%s has the text %q, want %q in it", e, text, want)
		}
		return err
	})
}

// evaluate returns the value of a JavaScript expression.
func evaluate[T any](one *tab, expression string) T {
	one.t.Helper()
	value, err := browser.Evaluate[T](one.Tab, expression)
	one.do(err)
	return value
}

// row is the row of a task.
func (one *tab) row(id int64) *browser.Element {
	return one.Selector(fmt.Sprintf("li[data-id='%d']", id))
}

// check is the checkbox of a task, which its title names.
func (one *tab) check(title string) *browser.Element { return one.Element("checkbox", title) }

// awaitDone waits until the row of a task shows whether it is done.
func (one *tab) awaitDone(id int64, done bool) {
	one.t.Helper()
	one.await(one.Selector(fmt.Sprintf("li[data-id='%d'][data-done='%t']", id, done)))
}

// titles returns the titles of the rows, in order.
func (one *tab) titles() []string {
	one.t.Helper()
	return evaluate[[]string](one, "[...document.querySelectorAll('li[data-id] .title')].map((e) => e.textContent)")
}

// awaitTitles waits until the rows have these titles in this order.
func (one *tab) awaitTitles(want ...string) {
	one.t.Helper()
	eventually(one.t, func() error {
		if got := one.titles(); !slices.Equal(got, want) {
			return fmt.Errorf("the rows are %q, want %q", got, want)
		}
		return nil
	})
}

// awaitQuiet waits until the page has no request that runs, and has drawn what the last ones brought.
func (one *tab) awaitQuiet() {
	one.t.Helper()
	eventually(one.t, func() error {
		before, _ := one.Requests()
		busy, err := browser.Evaluate[bool](one.Tab, `new Promise((resolve) => {
			requestAnimationFrame(() => requestAnimationFrame(() => resolve(document.querySelector('[aria-busy=true]') !== null)));
		})`)
		one.do(err)
		if sent, running := one.Requests(); busy || sent != before || len(running) > 0 {
			return fmt.Errorf("%d requests were sent in two frames, and %q run; busy: %t", sent-before, running, busy)
		}
		return nil
	})
}

// stopUndo makes the time in which a deletion can be undone endless.
func (one *tab) stopUndo() {
	one.t.Helper()
	evaluate[bool](one, "(window.setInterval = () => 0, true)")
}

// setClock sets the page's clock, which then goes on.
func (one *tab) setClock(now time.Time) {
	one.t.Helper()
	evaluate[bool](one, fmt.Sprintf("(() => { const real = Date.now, shift = %d - real(); Date.now = () => real() + shift; return true; })()", now.UnixMilli()))
}

// hide hides the tab behind another one until show is called. The page has noticed it when hide returns.
func (one *tab) hide() (show func()) {
	one.t.Helper()
	noticed := func(state string) {
		one.t.Helper()
		eventually(one.t, func() error {
			if now := evaluate[string](one, "document.visibilityState"); now != state {
				return fmt.Errorf("the page is %s, want it %s", now, state)
			}
			return nil
		})
	}
	reveal, err := one.Hide()
	one.do(err)
	one.t.Cleanup(func() { _ = reveal() }) // a hidden tab has no frames, and so no screenshot of a failed test
	noticed("hidden")
	return func() {
		one.t.Helper()
		one.do(reveal())
		noticed("visible")
	}
}

// screenshot writes what the tab shows to the folder of the screenshots.
func (one *tab) screenshot(name string) {
	one.t.Helper()
	file := strings.Trim(regexp.MustCompile(`[^a-z0-9]+`).ReplaceAllString(strings.ToLower(name), "-"), "-") + ".png"
	if err := one.Screenshot(filepath.Join(screenshotDir, file)); err != nil {
		one.t.Error(err)
	}
}

// inspect takes a screenshot of a state, and fails the test for violations of accessibility and for a page that is
// wider than its window.
func (one *tab) inspect(name string) {
	one.t.Helper()
	eventually(one.t, func() error { // what fades in has less contrast
		moving := evaluate[int](one, "document.getAnimations().filter((a) => a.playState === 'running' && a.effect.getComputedTiming().endTime < Infinity).length")
		if moving > 0 {
			return fmt.Errorf("%d animations are not over", moving)
		}
		return nil
	})
	one.screenshot(name)
	violations, err := one.Audit(axe)
	one.do(err)
	for _, v := range violations {
		one.t.Errorf("%s: %s", name, v)
	}
	type size struct{ Wide, Window float64 }
	if s := evaluate[size](one, "({ Wide: document.scrollingElement.scrollWidth, Window: innerWidth })"); s.Wide > s.Window {
		one.t.Errorf("%s: the page is %.0f px wide in a window of %.0f px", name, s.Wide, s.Window)
	}
}
