package page

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"

	pb "example.com/todo/contracts/gen/task"
	"example.com/todo/scripts/internal/browser"
)

func TestTabsAndOtherClientsStayInStep(t *testing.T) {
	p := arrive(t)
	second := p.openTab(t)
	second.visit("/")
	second.awaitLive()
	both := []*tab{p.tab, second}

	made := create(t, "Learn Go", 1)
	for _, one := range both {
		one.awaitTitles("Learn Go")
	}
	p.act(keyboard, made.ID, "Complete")
	second.awaitDone(made.ID, true)
	second.act(keyboard, made.ID, "Urgent")
	p.awaitText(p.row(made.ID).Selector(".priority"), "urgent")
	change(t, made.ID, map[string]any{"title": "Learn Go well"})
	for _, one := range both {
		one.awaitTitles("Learn Go well")
	}
	byRPC, err := rpc(t).CreateTask(t.Context(), &pb.CreateTaskRequest{Title: "Learn gRPC", Priority: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range both {
		one.awaitTitles("Learn Go well", "Learn gRPC")
	}
	second.act(keyboard, made.ID, "Delete")
	p.awaitTitles("Learn gRPC") // after the time for undo
	remove(t, byRPC.GetTask().GetId())
	for _, one := range both {
		one.awaitTitles()
	}
}

// A browser allows six connections to a server: a stream for each tab would leave none for requests.
func TestTabsOfABrowserShareOneStream(t *testing.T) {
	p := arrive(t)
	tabs := []*tab{p.tab}
	for range 7 {
		one := p.openTab(t)
		one.visit("/")
		one.awaitLive()
		tabs = append(tabs, one)
	}
	awaitWatchers(t, 1)
	create(t, "Learn Go", 1)
	for _, one := range tabs {
		one.awaitTitles("Learn Go")
	}
	// The tab that came first does not hold the stream for the others.
	p.Close()
	create(t, "Learn gRPC", 0)
	for _, one := range tabs[1:] {
		one.awaitTitles("Learn Go", "Learn gRPC")
	}
	awaitWatchers(t, 1)
	for _, one := range tabs[1:] {
		one.Close()
	}
	awaitWatchers(t, 0)
}

func awaitWatchers(t *testing.T, want float64) {
	t.Helper()
	eventually(t, func() error {
		if n := metric(t, "todo_watchers"); n != want {
			return fmt.Errorf("%g streams are open, want %g", n, want)
		}
		return nil
	})
}

func TestEventsChangeTheListWithoutARequest(t *testing.T) {
	p := arrive(t, func() { create(t, "Learn Go", 1) })
	p.awaitTitles("Learn Go")
	before := system.todo.count(``)
	made := create(t, "Learn gRPC", 0)
	p.awaitTitles("Learn Go", "Learn gRPC")
	change(t, made.ID, map[string]any{"title": "Learn gRPC well", "priority": 60})
	p.awaitTitles("Learn gRPC well", "Learn Go")
	remove(t, made.ID)
	p.awaitTitles("Learn Go")
	if n := system.todo.count(``) - before; n != 0 {
		t.Errorf("the page sent %d requests for three changes that the stream had brought", n)
	}
}

func TestRowThatChangedElsewhereIsMarkedForAMoment(t *testing.T) {
	var made task
	p := arrive(t, func() { made = create(t, "Learn Go", 1) })
	evaluate[bool](p.tab, `(() => {
		window.marked = [];
		new MutationObserver((records) => {
			const rows = new Set(records.map((record) => record.target));
			for (const row of rows) if (row.classList.contains('changed')) window.marked.push(row.dataset.id);
		}).observe(document.querySelector('#tasks'), { subtree: true, attributeFilter: ['class'] });
		return true;
	})()`)
	change(t, made.ID, map[string]any{"title": "Learn Go well"})
	p.awaitTitles("Learn Go well")
	eventually(t, func() error {
		if marked := evaluate[[]string](p.tab, "window.marked"); !slices.Contains(marked, fmt.Sprint(made.ID)) {
			return fmt.Errorf("marked rows: %v", marked)
		}
		return nil
	})
	p.awaitNone(p.Selector("li.changed"))
	// What a person does here needs no mark.
	evaluate[bool](p.tab, "(window.marked = [], true)")
	p.act(keyboard, made.ID, "Complete")
	// Until the change was drawn and then answered, an event may be about the person's own change.
	p.awaitDone(made.ID, true)
	p.awaitNone(p.Selector("li[data-state]"))
	change(t, made.ID, map[string]any{"priority": 60})
	p.awaitText(p.row(made.ID).Selector(".priority"), "high")
	eventually(t, func() error {
		if marked := evaluate[[]string](p.tab, "window.marked"); len(marked) == 0 {
			return fmt.Errorf("no mark")
		}
		return nil
	})
	if marked := evaluate[[]string](p.tab, "window.marked"); len(marked) != 1 {
		t.Errorf("a change here and one elsewhere marked %d times, want once", len(marked))
	}
}

// place returns the distance of an element from the window's top, in CSS pixels.
func (one *tab) place(e *browser.Element) float64 {
	one.t.Helper()
	top, err := browser.Call[float64](e, "function() { return this.getBoundingClientRect().top; }")
	one.do(err)
	return top
}

func TestChangesAboveDoNotMoveWhatIsLookedAt(t *testing.T) {
	var seen task
	p := arrive(t, func() {
		for i := range 60 {
			seen = create(t, fmt.Sprintf("Task %d", i), 60-i)
		}
	})
	p.awaitCount(p.Selector("li[data-id]"), 60)
	evaluate[bool](p.tab, "(scrollTo(0, document.body.scrollHeight), true)")
	before := p.place(p.row(seen.ID))
	first := create(t, "Above", 100)
	p.await(p.row(first.ID))
	if after := p.place(p.row(seen.ID)); after < before-1 || after > before+1 {
		t.Errorf("a new row above moved the one that is looked at from %.1f to %.1f px", before, after)
	}
	remove(t, first.ID)
	p.awaitNone(p.row(first.ID))
	if after := p.place(p.row(seen.ID)); after < before-1 || after > before+1 {
		t.Errorf("a row that went above moved the one that is looked at from %.1f to %.1f px", before, after)
	}
}

func TestListHoldsStillWhileAPointerIsDown(t *testing.T) {
	var made task
	p := arrive(t, func() { made = create(t, "Learn Go", 1) })
	p.await(p.row(made.ID))
	release, err := p.row(made.ID).Selector(".title").MouseDown()
	p.do(err)
	remove(t, create(t, "Not for long", 90).ID) // which leaves nothing to draw
	for i := range 3 {
		create(t, fmt.Sprintf("Above %d", i), 90)
	}
	// The counts are drawn with the notice.
	p.awaitText(p.Selector("#filters"), "All 4")
	if held := evaluate[string](p.tab, "document.querySelector('.notice[data-notice=held]')?.textContent ?? ''"); held != "3 changes" {
		t.Errorf("the page says %q, want 3 changes", held)
	}
	p.awaitTitles("Learn Go")
	p.inspect("held changes")
	p.do(release())
	p.awaitTitles("Above 0", "Above 1", "Above 2", "Learn Go")
	p.awaitDone(made.ID, true) // the click met the row that it began on
	awaitTask(t, "Learn Go", func(one task) bool { return one.Done })
}

func TestRowThatIsRenamedHoldsStillAndAsks(t *testing.T) {
	for answer, want := range map[string]string{"Keep mine": "Mine", "Take theirs": "Theirs"} {
		t.Run(answer, func(t *testing.T) {
			var made task
			p := arrive(t, func() { made = create(t, "Learn Go", 1); create(t, "Learn gRPC", 0) })
			p.act(keyboard, made.ID, "Rename")
			field := p.row(made.ID).Element("textbox", "Title")
			p.await(field)
			p.do(p.InsertText("Mine"))
			p.do(p.Press(kb.Home + kb.ArrowRight)) // the caret is after M
			change(t, made.ID, map[string]any{"title": "Theirs"})
			p.awaitText(p.row(made.ID), "Theirs")
			if caret := evaluate[int](p.tab, "document.activeElement.selectionStart"); caret != 1 {
				t.Errorf("the caret is at %d, want 1", caret)
			}
			if text := evaluate[string](p.tab, "document.activeElement.value"); text != "Mine" {
				t.Errorf("the field has %q", text)
			}
			p.inspect("renamed meanwhile")
			p.click(p.row(made.ID).Element("button", answer))
			p.awaitNone(field)
			p.awaitTitles(want, "Learn gRPC")
			awaitTask(t, want, nil)
			if _, found := findTask(t, map[string]string{"Mine": "Theirs", "Theirs": "Mine"}[want]); found {
				t.Error("the other title was saved, too")
			}
		})
	}
}

func TestFocusStaysWhenRowsChange(t *testing.T) {
	var second task
	p := arrive(t, func() { create(t, "Learn Go", 5); second = create(t, "Learn gRPC", 3); create(t, "Buy milk", 2) })
	focused := func() string {
		return evaluate[string](p.tab, "document.activeElement.closest('li')?.dataset.id ?? document.activeElement.tagName")
	}
	p.goTo(second.ID)
	create(t, "Above", 90)
	p.awaitTitles("Above", "Learn Go", "Learn gRPC", "Buy milk")
	change(t, second.ID, map[string]any{"priority": 95}) // it moves to the top
	p.awaitTitles("Learn gRPC", "Above", "Learn Go", "Buy milk")
	if id := focused(); id != fmt.Sprint(second.ID) {
		t.Errorf("the focus is on %s, want it on the row that moved, %d", id, second.ID)
	}
	remove(t, second.ID)
	p.awaitTitles("Above", "Learn Go", "Buy milk")
	if id := focused(); id == "BODY" {
		t.Errorf("the focus was lost with its row: it is on %s", id)
	}
}

// A screen reader must not read every change of a busy list.
func TestLiveRegionsDoNotChatter(t *testing.T) {
	p := arrive(t)
	observed := evaluate[int](p.tab, `(() => {
		window.spoken = [];
		for (const region of document.querySelectorAll('[role=status], [role=alert], [aria-live]')) {
			new MutationObserver(() => window.spoken.push(region.textContent)).observe(region, { subtree: true, childList: true, characterData: true });
		}
		return document.querySelectorAll('[role=status], [role=alert], [aria-live]').length;
	})()`)
	if observed == 0 {
		t.Fatal("the page has no live region")
	}
	for i := range 30 {
		create(t, fmt.Sprintf("Task %d", i), i)
	}
	p.awaitCount(p.Selector("li[data-id]"), 30)
	// What a person does here is announced.
	p.write(keyboard, "Learn Go")
	eventually(t, func() error {
		if spoken := evaluate[[]string](p.tab, "window.spoken"); !strings.Contains(strings.Join(spoken, " "), "Learn Go") {
			return fmt.Errorf("the new task was not announced: %q", spoken)
		}
		return nil
	})
	// Announcements are collected for a moment: those of the 30 changes would have come before this one.
	if spoken := evaluate[[]string](p.tab, "window.spoken"); len(spoken) > 3+1 {
		t.Errorf("30 changes elsewhere and one here were announced %d times: %q", len(spoken), spoken)
	}
}
