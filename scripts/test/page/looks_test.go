package page

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"example.com/todo/scripts/internal/browser"
)

// titles are hard to show: HTML, another direction, both directions, emoji, and 500 characters with and without spaces.
var titles = []string{
	`<img src=x onerror="document.title='hacked'"><b>bold</b> &amp; <script>alert(1)</script>`,
	"ללמוד גו היום",
	"تعلم Go اليوم",
	"Learn Go 🎉👩‍👩‍👧‍👦",
	strings.Repeat("Learn Go ", 55) + "well.",
	strings.Repeat("x", 500),
	"javascript:alert(1)",
}

// prepareTitles makes a task for each of titles, in their order.
func prepareTitles(t *testing.T) func() {
	return func() {
		for i, title := range titles {
			create(t, title, 90-i)
		}
		change(t, create(t, "Learn gRPC", 5).ID, map[string]any{"done": true})
	}
}

func TestTitlesAreTextEverywhere(t *testing.T) {
	p := arrive(t, prepareTitles(t))
	p.awaitTitles(append(slices.Clone(titles), "Learn gRPC")...)
	live := `<svg onload="document.title='hacked'"></svg>`
	made := create(t, live, 95) // by the stream, not by the document
	p.await(p.check(live))
	p.act(keyboard, made.ID, "Rename")
	p.await(p.row(made.ID).Element("textbox", "Title"))
	p.do(p.InsertText(titles[0] + " renamed"))
	p.do(p.Press(kb.Enter))
	awaitTask(t, titles[0]+" renamed", nil)
	p.act(keyboard, made.ID, "History")
	p.awaitText(p.Element("complementary", "History"), "<svg onload")
	p.stopUndo()
	p.act(keyboard, made.ID, "Delete")
	p.awaitText(p.Element("status", ""), "<img src=x")
	p.inspect("titles")
	type signs struct {
		Title             string
		Images, Bold, SVG int
	}
	got := evaluate[signs](p.tab, `({
		Title: document.title, Images: document.querySelectorAll('img').length,
		Bold: document.querySelectorAll('b').length, SVG: document.querySelectorAll('svg[onload]').length,
	})`)
	if want := (signs{Title: got.Title}); got != want || strings.Contains(got.Title, "hacked") {
		t.Errorf("a title was read as HTML: %+v", got)
	}
}

func TestTitlesKeepTheirDirection(t *testing.T) {
	p := arrive(t, prepareTitles(t))
	p.awaitCount(p.Selector("li[data-id]"), len(titles)+1)
	for title, want := range map[string]string{titles[1]: "rtl", titles[2]: "rtl", titles[3]: "ltr"} {
		got := evaluate[string](p.tab, fmt.Sprintf(`getComputedStyle([...document.querySelectorAll('li .title')].find((e) => e.textContent === %q)).direction`, title))
		if got != want {
			t.Errorf("the title %q is written %s, want %s", title, got, want)
		}
	}
	if got := evaluate[string](p.tab, "getComputedStyle(document.body).direction"); got != "ltr" {
		t.Errorf("the page is written %s", got)
	}
	// The same page in a language that is written from right to left.
	evaluate[bool](p.tab, "(document.documentElement.dir = 'rtl', true)")
	p.inspect("right to left")
	p.do(p.SetViewport(320, 640))
	p.inspect("right to left, narrow")
}

func TestPageFitsEveryWindow(t *testing.T) {
	p := arrive(t, prepareTitles(t))
	p.awaitCount(p.Selector("li[data-id]"), len(titles)+1)
	for _, width := range []int64{320, 375, 600, 768, 999, 1000, 1280, 2560} {
		p.do(p.SetViewport(width, 800))
		p.inspect(fmt.Sprintf("width %d", width))
		// No text is cut off: a title is as wide as its row lets it be, and as high as its text.
		cut := evaluate[[]string](p.tab, `[...document.querySelectorAll('li .title, h1, button, nav a')]
			.filter((e) => e.offsetParent && !e.matches('.visually-hidden, .icon-button') && (e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 0 && getComputedStyle(e).overflow !== 'visible'))
			.map((e) => e.textContent.slice(0, 40))`)
		if len(cut) > 0 {
			t.Errorf("%d px: cut off: %q", width, cut)
		}
	}
	p.do(p.SetViewport(320, 640))
	p.do(p.SetTouch(true))
	made, _ := findTask(t, titles[4])
	p.use(touch, p.row(made.ID).Element("button", "More"))
	p.await(p.Element("menuitem", "Rename"))
	p.inspect("menu, narrow")
	p.use(touch, p.Element("menuitem", "History"))
	p.await(p.Element("complementary", "History"))
	p.inspect("history, narrow")
}

// A tool that is not drawn has its place, its name and its key nevertheless.
func TestToolsAreDrawnUnderThePointerAndWithTheFocus(t *testing.T) {
	var first, second task
	p := arrive(t, func() { first, second = create(t, "Learn Go", 90), create(t, "Learn gRPC", 10) })
	for _, made := range []task{first, second} {
		for _, name := range []string{"Rename", "History", "Delete", "More"} {
			p.await(p.row(made.ID).Element("button", name))
		}
	}
	awaitDrawn := func(id int64, want ...string) {
		t.Helper()
		expression := fmt.Sprintf(`[...document.querySelectorAll("li[data-id='%d'] .tools button")].filter((e) =>
			getComputedStyle(e).opacity === '1' && getComputedStyle(e, '::before').display !== 'none').map((e) => e.ariaLabel)`, id)
		eventually(t, func() error {
			if got := evaluate[[]string](p.tab, expression); !slices.Equal(got, want) {
				return fmt.Errorf("task %d has %q, want %q", id, got, want)
			}
			return nil
		})
	}
	all := []string{"Rename", "History", "Delete", "More"}
	awaitDrawn(first.ID, "More")
	p.try(p.row(second.ID).Hover)
	awaitDrawn(second.ID, all...)
	awaitDrawn(first.ID, "More")
	p.goTo(first.ID)
	awaitDrawn(first.ID, all...)
}

// What is touched is at least 24 px wide and high, and a row 44 px.
func TestTargetsAreLargeEnoughForFingers(t *testing.T) {
	p := arriveWith(t, touch, prepareTitles(t))
	p.awaitCount(p.Selector("li[data-id] .more"), len(titles)+1)
	p.do(p.SetViewport(320, 640))
	small := evaluate[[]string](p.tab, `[...document.querySelectorAll('button, a, input, select')]
		.filter((e) => e.checkVisibility() && !e.matches('.skip, .visually-hidden'))
		.map((e) => [e, e.getBoundingClientRect()])
		.filter(([, r]) => r.width > 0 && (r.width < 24 || r.height < 24))
		.map(([e, r]) => e.outerHTML.slice(0, 80) + ' ' + r.width + ' x ' + r.height)`)
	if len(small) > 0 {
		t.Errorf("too small: %s", strings.Join(small, "\n"))
	}
	if low := evaluate[float64](p.tab, "Math.min(...[...document.querySelectorAll('li[data-id]')].map((e) => e.getBoundingClientRect().height))"); low < 44 {
		t.Errorf("the lowest row is %.1f px high", low)
	}
}

func TestPageIsLegibleInTheDark(t *testing.T) {
	p := arrive(t, prepareTitles(t))
	p.awaitCount(p.Selector("li[data-id]"), len(titles)+1)
	light := evaluate[string](p.tab, "getComputedStyle(document.body).backgroundColor")
	p.do(p.SetMedia("", map[string]string{"prefers-color-scheme": "dark"}))
	if dark := evaluate[string](p.tab, "getComputedStyle(document.body).backgroundColor"); dark == light {
		t.Errorf("the background is %s in both schemes", dark)
	}
	p.inspect("dark")
	p.do(p.SetViewport(320, 640))
	p.inspect("dark, narrow")
	p.do(p.SetMedia("", map[string]string{"prefers-color-scheme": "dark", "prefers-contrast": "more"}))
	p.inspect("dark, more contrast")
	p.do(p.SetMedia("", map[string]string{"forced-colors": "active"}))
	p.inspect("forced colours")
}

func TestThemeIsSwitchedAndKept(t *testing.T) {
	p := arrive(t)
	background := func() string { return evaluate[string](p.tab, "getComputedStyle(document.body).backgroundColor") }
	before := background()
	eventually(t, func() error {
		p.click(p.Matching("button", "^Colours"))
		if background() == before {
			return fmt.Errorf("the background is still %s", before)
		}
		return nil
	})
	chosen := background()
	p.visit("/")
	if now := background(); now != chosen {
		t.Errorf("after a reload the background is %s, was %s", now, chosen)
	}
	p.inspect("chosen theme")
	stored := evaluate[map[string]string](p.tab, "({ ...localStorage })")
	if len(stored) != 1 || stored["theme"] == "" {
		t.Errorf("stored: %v, want the theme alone", stored)
	}
}

// listMoving lists the elements whose styles let them move: by an animation or a transition that takes time, unless it
// goes in one step, or by smooth scrolling. It marks a row as changed before. It needs no frame, so that an element that
// goes soon is not missed.
const listMoving = `(() => {
	document.querySelector('li[data-id]').classList.add('changed');
	const moves = (style) => style.scrollBehavior === 'smooth' || parseFloat(style.transitionDuration) > 0.001
		|| style.animationName !== 'none' && parseFloat(style.animationDuration) > 0.001 && !style.animationTimingFunction.startsWith('step');
	return [...document.querySelectorAll('*')].flatMap((e) => ['', '::before', '::after']
		.filter((part) => moves(getComputedStyle(e, part))).map((part) => [e.localName, ...e.classList].join('.') + part));
})()`

func TestNothingMovesUnderReducedMotion(t *testing.T) {
	var made task
	p := arrive(t, func() { made = create(t, "Learn Go", 2); create(t, "Learn gRPC", 1) })
	p.stopUndo()
	moving := func(motion string) []string {
		p.do(p.SetMedia("", map[string]string{"prefers-reduced-motion": motion}))
		p.act(keyboard, made.ID, "Delete")
		p.await(p.Element("button", "Undo"))
		found := evaluate[[]string](p.tab, listMoving)
		p.do(p.Press("u"))
		p.awaitTitles("Learn Go", "Learn gRPC")
		return found
	}
	found := moving("no-preference")
	for _, want := range []string{"div.toast", "li.changed::before"} {
		if !slices.Contains(found, want) {
			t.Errorf("without the preference %s does not move, so the test cannot see that: %q", want, found)
		}
	}
	if found := moving("reduce"); len(found) > 0 {
		t.Errorf("moves: %q", found)
	}
}

// The title leaves room for the changes, and is there as a whole.
func TestLongTitleLeavesRoomForItsHistory(t *testing.T) {
	p := arriveWith(t, touch, prepareTitles(t))
	p.do(p.SetViewport(320, 640))
	for _, title := range titles[4:6] {
		made, _ := findTask(t, title)
		p.act(touch, made.ID, "History")
		panel := p.Element("complementary", "History")
		p.awaitText(panel, "Added as")
		p.inspect("history of a long title")
		type shown struct {
			Text, Tooltip string
			Lines         float64
		}
		got := evaluate[shown](p.tab, `(() => {
			const e = document.querySelector('#history .panel-title');
			return { Text: e.textContent, Tooltip: e.title, Lines: e.clientHeight / parseFloat(getComputedStyle(e).lineHeight) };
		})()`)
		if got.Lines < 2.9 || got.Lines > 3.1 || got.Text != title || got.Tooltip != title {
			t.Errorf("the title is %.1f lines high, want 3, with the text %q and the tooltip %q", got.Lines, got.Text, got.Tooltip)
		}
		p.use(touch, panel.Matching("button", "^Close"))
		p.awaitNone(panel)
	}
}

func TestAnswersToAConflictStandSideBySide(t *testing.T) {
	for action, answers := range map[string][]string{"Complete": {"Keep mine", "Take theirs"}, "Delete": {"Delete it anyway", "Keep it"}} {
		t.Run(action, func(t *testing.T) {
			var made task
			p := arrive(t, func() { made = create(t, "Learn Go", 5) })
			p.do(p.SetViewport(320, 640))
			changeUnseen(p, made.ID, map[string]any{"title": "Learn Go well"})
			p.act(keyboard, made.ID, action)
			p.await(p.Selector("li[data-state='conflict']"))
			p.inspect("changed meanwhile, narrow, " + action)
			first, second := p.row(made.ID).Element("button", answers[0]), p.row(made.ID).Element("button", answers[1])
			for width := int64(320); width <= 760; width += 20 {
				p.do(p.SetViewport(width, 640))
				if a, b := p.place(first), p.place(second); a != b {
					t.Errorf("%d px: the answers are at %.1f and %.1f px, want both on one line", width, a, b)
				}
			}
		})
	}
}

func TestPrintShowsTheListAlone(t *testing.T) {
	p := arrive(t, prepareTitles(t))
	p.awaitCount(p.Selector("li[data-id]"), len(titles)+1)
	p.do(p.SetMedia("print", nil))
	shown := evaluate[[]string](p.tab, `[...document.querySelectorAll('input, select, button:not(.check), aside, #connection')].filter((e) => e.checkVisibility()).map((e) => e.id || e.className)`)
	if len(shown) > 0 {
		t.Errorf("printed: %v", shown)
	}
	p.awaitText(p.Element("list", "Tasks"), "Learn gRPC")
	p.screenshot("print")
}

// By Tab every control is reached once, in the order of the document, and its focus can be seen.
func TestTabOrderIsThatOfTheDocument(t *testing.T) {
	p := arrive(t, func() { create(t, "Learn Go", 2); create(t, "Learn gRPC", 1) })
	p.awaitTitles("Learn Go", "Learn gRPC")
	var names []string
	positions := []int{}
	for range 30 {
		p.do(p.Press(kb.Tab))
		type stop struct {
			Name     string
			Position int
			Seen     bool
		}
		s := evaluate[stop](p.tab, `(() => {
			const e = document.activeElement, style = getComputedStyle(e);
			const around = [e, e.parentElement, e.closest('li, form, nav')].filter(Boolean).map((x) => getComputedStyle(x));
			return {
				Name: e === document.body ? '' : e.ariaLabel || e.labels?.[0]?.textContent || document.getElementById(e.getAttribute('aria-labelledby'))?.textContent || e.textContent.trim(),
				Position: [...document.querySelectorAll('*')].indexOf(e),
				Seen: around.some((s) => (s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) > 0) || s.boxShadow !== 'none'),
			};
		})()`)
		if s.Name == "" {
			break // the browser's own controls
		}
		if !s.Seen {
			t.Errorf("the focus on %q cannot be seen", s.Name)
		}
		names, positions = append(names, s.Name), append(positions, s.Position)
	}
	if !slices.IsSorted(positions) {
		t.Errorf("the order of %q is not that of the document", names)
	}
	joined := strings.Join(names, "|")
	for _, want := range []string{"Skip to the tasks", "Search tasks", "New task", "Priority", "Add", "All", "Open", "Done", "Sort", "Learn Go"} {
		if !strings.Contains(joined, want) {
			t.Errorf("%q is not reached: %q", want, names)
		}
	}
	if strings.Contains(joined, "Learn gRPC") {
		t.Errorf("the rows are more than one stop: %q", names)
	}
}

func TestSkipLinkLeadsToTheTasks(t *testing.T) {
	p := arrive(t, func() { create(t, "Learn Go", 2) })
	p.do(p.Press(kb.Tab))
	p.inspect("skip link")
	p.do(p.Press(kb.Enter))
	if id := evaluate[string](p.tab, "document.activeElement.id || document.activeElement.closest('#tasks')?.id"); id != "tasks" {
		t.Errorf("the focus is on %q", id)
	}
}

func TestNothingIsStoredBeyondTheTab(t *testing.T) {
	p := arrive(t, func() { create(t, "Learn secretly", 2) })
	p.write(keyboard, "Learn silently")
	awaitTask(t, "Learn silently", nil)
	stored := evaluate[string](p.tab, `(async () => JSON.stringify({
		local: { ...localStorage }, cookies: document.cookie, databases: await indexedDB.databases(),
		workers: 'serviceWorker' in navigator ? (await navigator.serviceWorker.getRegistrations()).length : 0,
		caches: await caches.keys(), session: Object.values(sessionStorage).filter((text) => text.includes('secretly')),
	}))()`)
	if want := `{"local":{},"cookies":"","databases":[],"workers":0,"caches":[],"session":[]}`; stored != want {
		t.Errorf("stored: %s, want %s", stored, want)
	}
}

func TestPageRefusesToBeFramed(t *testing.T) {
	p := prepared(t)
	p.expect(browser.ProblemPolicy, "")
	p.expect(browser.ProblemRequest, "ERR_BLOCKED_BY_RESPONSE")
	p.expect(browser.ProblemConsole, "frame")
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, `<link rel="icon" href="data:,"><iframe src="%s/"></iframe>`, system.todo.url())
	}))
	defer other.Close()
	p.do(p.Navigate(other.URL))
	eventually(t, func() error {
		if n := system.todo.count(`^GET /$`); n == 0 {
			return fmt.Errorf("the frame was not requested")
		}
		return nil
	})
	if n := system.todo.count(`^GET /(assets|tasks|events)`); n != 0 {
		t.Errorf("the framed page sent %d requests", n)
	}
	p.screenshot("framed")
}
