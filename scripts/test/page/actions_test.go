package page

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"

	"example.com/todo/scripts/internal/browser"
)

func TestTaskIsAdded(t *testing.T) {
	byEveryHand(t, func(t *testing.T, h hand) {
		p := arriveWith(t, h)
		p.write(h, "Learn Go")
		p.awaitTitles("Learn Go")
		made := awaitTask(t, "Learn Go", nil)
		p.await(p.row(made.ID)) // no longer a draft
		if made.Priority != 1 {
			t.Errorf("the priority is %d, want that of normal, 1", made.Priority)
		}
		// The focus stays, so that the next task can be typed.
		if name := evaluate[string](p.tab, "document.activeElement.labels?.[0]?.textContent ?? ''"); h != touch && name != "New task" {
			t.Errorf("the focus is on %q, want it on the field", name)
		}
		p.do(p.Element("textbox", "New task").Focus())
		p.do(p.InsertText("Learn gRPC"))
		p.do(p.Press(kb.Enter))
		awaitTask(t, "Learn gRPC", nil)
		p.awaitCount(p.Selector("li[data-id]"), 2)
	})
}

func TestNewTaskHasTheChosenPriority(t *testing.T) {
	p := arrive(t)
	p.do(p.Press("n"))
	p.do(p.InsertText("Learn Go"))
	p.do(p.Press(kb.Tab + "high"))
	p.click(p.Element("button", "Add"))
	if made := awaitTask(t, "Learn Go", nil); made.Priority != 50 {
		t.Errorf("the high task has priority %d", made.Priority)
	}
}

func TestTaskIsCompletedAndReopened(t *testing.T) {
	byEveryHand(t, func(t *testing.T, h hand) {
		var made task
		p := arriveWith(t, h, func() { made = create(t, "Learn Go", 1) })
		p.act(h, made.ID, "Complete")
		p.awaitDone(made.ID, true)
		awaitTask(t, "Learn Go", func(one task) bool { return one.Done && one.Version == 2 })
		p.act(h, made.ID, "Complete")
		p.awaitDone(made.ID, false)
		awaitTask(t, "Learn Go", func(one task) bool { return !one.Done && one.Version == 3 })
	})
}

func TestTaskIsRenamedInPlace(t *testing.T) {
	byEveryHand(t, func(t *testing.T, h hand) {
		var made task
		p := arriveWith(t, h, func() { made = create(t, "Learn Go", 1) })
		field := p.row(made.ID).Element("textbox", "Title")
		p.act(h, made.ID, "Rename")
		p.await(field)
		p.do(p.InsertText("Learn gRPC")) // the old title is selected
		p.do(p.Press(kb.Escape))
		p.awaitTitles("Learn Go")
		p.act(h, made.ID, "Rename")
		p.await(field)
		p.do(p.InsertText("Learn Go well"))
		p.do(p.Press(kb.Enter))
		p.awaitNone(field)
		p.awaitTitles("Learn Go well")
		awaitTask(t, "Learn Go well", func(one task) bool { return one.Version == 2 })
		// Leaving the field saves, too.
		p.act(h, made.ID, "Rename")
		p.await(field)
		p.do(p.InsertText("Learn Go better"))
		p.use(h, p.Element("textbox", "New task"))
		awaitTask(t, "Learn Go better", func(one task) bool { return one.Version == 3 })
	})
}

func TestPriorityIsChanged(t *testing.T) {
	byEveryHand(t, func(t *testing.T, h hand) {
		var made task
		p := arriveWith(t, h, func() { made = create(t, "Learn Go", 1) })
		for level, priority := range map[string]int{"Urgent": 75, "Low": 0} {
			p.act(h, made.ID, level)
			p.awaitText(p.row(made.ID).Selector(".priority"), strings.ToLower(level))
			awaitTask(t, "Learn Go", func(one task) bool { return one.Priority == priority })
		}
	})
}

func TestDeletionIsUndone(t *testing.T) {
	byEveryHand(t, func(t *testing.T, h hand) {
		var made task
		p := arriveWith(t, h, func() { made = create(t, "Learn Go", 1); create(t, "Learn gRPC", 1) })
		p.stopUndo()
		p.act(h, made.ID, "Delete")
		p.awaitTitles("Learn gRPC")
		undo := p.Element("status", "").Element("button", "Undo")
		p.await(undo)
		if h == keyboard {
			p.do(p.Press("u"))
		} else {
			p.use(h, undo)
		}
		p.awaitTitles("Learn Go", "Learn gRPC")
		p.awaitNone(undo)
		if n := system.todo.count(`^DELETE`); n != 0 {
			t.Errorf("%d deletions were sent", n)
		}
	})
}

func TestDeletionIsSentWhenTheTimeForUndoIsOver(t *testing.T) {
	byEveryHand(t, func(t *testing.T, h hand) {
		var made task
		p := arriveWith(t, h, func() { made = create(t, "Learn Go", 1) })
		p.act(h, made.ID, "Delete")
		p.awaitTitles()
		awaitGone(t, "Learn Go")
		p.awaitNone(p.Element("button", "Undo"))
		p.awaitText(p.Selector("main"), "Nothing to do")
	})
}

func TestDeletionIsSentWhenThePageIsLeft(t *testing.T) {
	for name, leave := range map[string]func(p *person){
		"another page": func(p *person) { p.do(p.Navigate("about:blank")) },
		"reload":       func(p *person) { p.do(p.Reload()) },
		"close":        func(p *person) { p.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			var made task
			p := arrive(t, func() { made = create(t, "Learn Go", 1) })
			p.stopUndo()
			p.act(keyboard, made.ID, "Delete")
			p.awaitTitles()
			if _, ok := findTask(t, "Learn Go"); !ok {
				t.Fatal("the deletion was sent at once")
			}
			leave(p)
			awaitGone(t, "Learn Go")
		})
	}
}

// A telephone may end a hidden page without a word. Elsewhere a look at another tab must not cost the undo.
func TestDeletionOfAHiddenPage(t *testing.T) {
	for _, h := range []hand{touch, mouse} {
		t.Run(string(h), func(t *testing.T) {
			var made task
			p := arriveWith(t, h, func() { made = create(t, "Learn Go", 1) })
			p.stopUndo()
			p.act(h, made.ID, "Delete")
			undo := p.Element("button", "Undo")
			p.await(undo)
			show := p.hide()
			if h == touch {
				awaitGone(t, "Learn Go")
			}
			show()
			deletions := 0
			if h == touch {
				deletions = 1
				p.awaitNone(undo)
				p.awaitTitles()
			} else {
				p.use(h, undo)
				p.awaitTitles("Learn Go")
			}
			p.do(p.Navigate("about:blank")) // nothing is left to be sent
			create(t, "Learn gRPC", 1)
			if n := system.todo.count(`^DELETE`); n != deletions {
				t.Errorf("%d deletions were sent, want %d", n, deletions)
			}
		})
	}
}

func TestMoreButtonClosesItsMenu(t *testing.T) {
	for _, h := range []hand{touch, mouse} {
		t.Run(string(h), func(t *testing.T) {
			var above, below task
			p := arriveWith(t, h, func() { above = create(t, "Learn Go", 2); below = create(t, "Learn gRPC", 1) })
			pressMore := func(made task) {
				p.try(p.row(made.ID).Hover)
				p.use(h, p.row(made.ID).Element("button", "More"))
			}
			awaitMenu := func(title string, open int) {
				p.awaitCount(p.Element("menu", title), open)
				p.awaitCount(p.Selector(".more[aria-expanded='true']"), open)
			}
			for range 2 {
				pressMore(below)
				awaitMenu("Learn gRPC", 1)
				pressMore(below)
				awaitMenu("Learn gRPC", 0)
			}
			pressMore(below)
			awaitMenu("Learn gRPC", 1)
			pressMore(above)
			awaitMenu("Learn Go", 1)
		})
	}
}

func TestLastChangeIsUndone(t *testing.T) {
	var made task
	p := arrive(t, func() { made = create(t, "Learn Go", 1) })
	p.act(keyboard, made.ID, "Complete")
	p.awaitDone(made.ID, true)
	p.act(keyboard, made.ID, "Urgent")
	awaitTask(t, "Learn Go", func(one task) bool { return one.Done && one.Priority == 75 })
	p.do(p.Press("u"))
	awaitTask(t, "Learn Go", func(one task) bool { return one.Done && one.Priority == 1 })
	p.do(p.Press("u"))
	awaitTask(t, "Learn Go", func(one task) bool { return !one.Done })
}

func TestListIsSearchedWhileTyping(t *testing.T) {
	byEveryHand(t, func(t *testing.T, h hand) {
		p := arriveWith(t, h, func() { create(t, "Learn Go", 3); create(t, "Learn gRPC", 2); create(t, "Buy milk", 1) })
		if h == keyboard {
			p.do(p.Press("/"))
		} else {
			p.use(h, p.Element("searchbox", "Search tasks"))
		}
		evaluate[bool](p.tab, "(window.typed = [], addEventListener('input', (event) => window.typed.push(event.timeStamp), true), true)")
		p.do(p.Press("learn g"))
		p.awaitTitles("Learn Go", "Learn gRPC")
		// A search is sent after 250 ms without a letter: once, unless a busy machine typed with pauses.
		pauses := evaluate[int](p.tab, "window.typed.filter((at, i, all) => i > 0 && at - all[i - 1] > 240).length")
		if n := system.todo.count(`^GET /tasks\?.*q=`); n < 1 || n > 1+pauses {
			t.Errorf("%d searches were sent for a text that was typed with %d pauses", n, pauses)
		}
		p.do(p.Press("rpc"))
		p.awaitTitles("Learn gRPC")
		if address := evaluate[string](p.tab, "location.search"); !strings.Contains(address, "q=learn") {
			t.Errorf("the address %q does not have the search", address)
		}
		p.do(p.Press(kb.Escape))
		p.awaitTitles("Learn Go", "Learn gRPC", "Buy milk")
	})
}

// A search that takes long must not replace the results of a later one.
func TestLaterSearchCancelsItsPredecessor(t *testing.T) {
	p := arrive(t, func() { create(t, "Learn Go", 3); create(t, "Buy milk", 1) })
	entered, _ := system.todo.hold(t, `^GET /tasks\?.*q=learn`, abort)
	p.do(p.Press("/"))
	p.do(p.Press("learn"))
	receive(t, entered, "the first search")
	p.do(p.Press(strings.Repeat(kb.Backspace, len("learn")) + "milk"))
	p.awaitTitles("Buy milk")
	eventually(t, func() error {
		if n := system.todo.countCancelled(`^GET /tasks\?.*q=learn`); n != 1 {
			return fmt.Errorf("%d searches were cancelled, want 1", n)
		}
		return nil
	})
}

func TestListIsFilteredWithCounts(t *testing.T) {
	byEveryHand(t, func(t *testing.T, h hand) {
		var first task
		p := arriveWith(t, h, func() {
			first = create(t, "Learn Go", 3)
			create(t, "Learn gRPC", 2)
			change(t, create(t, "Buy milk", 1).ID, map[string]any{"done": true})
		})
		filter := func(name string, count int) *browser.Element {
			return p.Matching("link", fmt.Sprintf(`^%s\s+%d$`, name, count))
		}
		p.await(filter("All", 3))
		p.use(h, filter("Open", 2))
		p.awaitTitles("Learn Go", "Learn gRPC")
		p.use(h, filter("Done", 1))
		p.awaitTitles("Buy milk")
		change(t, first.ID, map[string]any{"done": true}) // elsewhere
		p.awaitTitles("Learn Go", "Buy milk")
		p.await(filter("Done", 2))
		p.await(filter("Open", 1))
		p.use(h, filter("All", 3))
		p.awaitTitles("Learn Go", "Learn gRPC", "Buy milk")
	})
}

func TestListIsSorted(t *testing.T) {
	byEveryHand(t, func(t *testing.T, h hand) {
		p := arriveWith(t, h, func() { create(t, "Low", 0); create(t, "Urgent", 90); create(t, "High", 60) })
		p.awaitTitles("Urgent", "High", "Low")
		// The choices of a select are shown by the system, where no pointer of a test reaches them.
		sort := p.Element("combobox", "Sort")
		for _, c := range []struct{ key, titles string }{
			{kb.ArrowDown, "Low High Urgent"}, {kb.ArrowDown, "High Urgent Low"}, {kb.ArrowDown, "Low Urgent High"},
			{kb.Home, "Urgent High Low"}, {kb.End, "Low Urgent High"},
		} {
			p.do(sort.Focus())
			p.do(p.Press(c.key))
			p.awaitTitles(strings.Fields(c.titles)...)
		}
		create(t, "Later", 100) // elsewhere
		p.awaitTitles("Low", "Urgent", "High", "Later")
	})
}

func TestManyTasksAreShownByScrolling(t *testing.T) {
	p := arrive(t, func() { fillTasks(t, 2500) })
	rows := func() int { return evaluate[int](p.tab, "document.querySelectorAll('li[data-id]').length") }
	eventually(t, func() error {
		if n := rows(); n < 1000 {
			return fmt.Errorf("%d rows", n)
		}
		return nil
	})
	eventually(t, func() error {
		p.do(p.Press(kb.End))
		if n := rows(); n != 2500 {
			return fmt.Errorf("%d of 2,500 rows after scrolling", n)
		}
		return nil
	})
	titles := map[string]bool{}
	for _, title := range p.titles() {
		titles[title] = true
	}
	if len(titles) != 2500 {
		t.Errorf("%d different titles, want 2,500", len(titles))
	}
}

func TestHistoryIsTold(t *testing.T) {
	byEveryHand(t, func(t *testing.T, h hand) {
		var made task
		p := arriveWith(t, h, func() {
			made = create(t, "Learn Go", 1)
			change(t, made.ID, map[string]any{"title": "Learn Go well"})
			change(t, made.ID, map[string]any{"priority": 80})
			change(t, made.ID, map[string]any{"done": true})
		})
		p.act(h, made.ID, "History")
		panel := p.Element("complementary", "History")
		for _, sentence := range []string{"Added as", "Renamed from", "normal to urgent", "Completed"} {
			p.awaitText(panel, sentence)
		}
		p.awaitCount(panel.Selector("li time[datetime][title]"), 4)
		change(t, made.ID, map[string]any{"done": false}) // elsewhere, while the panel is open
		p.awaitText(panel, "Reopened")
		p.inspect("history by " + string(h))
		p.use(h, panel.Matching("button", "^Close"))
		p.awaitNone(panel)
	})
}

func TestTimesOfTheHistoryAge(t *testing.T) {
	var made task
	p := arrive(t, func() { made = create(t, "Learn Go", 1) })
	p.act(keyboard, made.ID, "History")
	panel := p.Element("complementary", "History")
	p.awaitText(panel, "just now")
	show := p.hide()
	p.setClock(made.CreatedAt.Add(5*time.Minute + 10*time.Second))
	show()
	p.awaitText(panel, "5 min ago")
}

func TestShortcutsAreListedAndLeaveTypingAlone(t *testing.T) {
	var made task
	p := arrive(t, func() { made = create(t, "Learn Go", 1) })
	p.do(p.Press("?"))
	dialog := p.Element("dialog", "Keyboard shortcuts")
	p.await(dialog)
	for _, text := range []string{"Add a task", "Search", "Complete or reopen", "Rename", "Undo", "History"} {
		p.awaitText(dialog, text)
	}
	p.inspect("keyboard shortcuts")
	p.do(p.Press("x")) // not for the list behind the dialog
	p.do(p.Press(kb.Escape))
	p.awaitNone(dialog)
	p.do(p.Press("n"))
	p.do(p.Press("x j k # u ? e 1"))
	if text := evaluate[string](p.tab, "document.activeElement.value"); text != "x j k # u ? e 1" {
		t.Errorf("the field has %q: shortcuts work while typing", text)
	}
	p.do(p.Press(kb.Escape))
	p.goTo(made.ID)
	p.do(p.Press("x", 2)) // with Ctrl
	p.awaitQuiet()
	if now, _ := findTask(t, "Learn Go"); now.Version != 1 {
		t.Errorf("the task has changed: %+v", now)
	}
}
