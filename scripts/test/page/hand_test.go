package page

import (
	"fmt"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"example.com/todo/scripts/internal/browser"
)

// hand is how a person uses the page.
type hand string

const (
	mouse    hand = "mouse"
	touch    hand = "touch"
	keyboard hand = "keyboard"
)

// shortcuts are the keys of the actions on a row.
var shortcuts = map[string]string{
	"Complete": "x", "Rename": "e", "History": "h", "Delete": "#", "Low": "1", "Normal": "2", "High": "3", "Urgent": "4",
}

// byEveryHand runs a test by mouse, touch and keyboard, each with a page of its own.
func byEveryHand(t *testing.T, test func(t *testing.T, h hand)) {
	for _, h := range []hand{mouse, touch, keyboard} {
		t.Run(string(h), func(t *testing.T) { test(t, h) })
	}
}

// arriveWith is arrive with what the hand needs: a telephone's window for touch.
func arriveWith(t *testing.T, h hand, prepare ...func()) *person {
	t.Helper()
	p := prepared(t, prepare...)
	if h == touch {
		p.do(p.SetViewport(412, 800))
		p.do(p.SetTouch(true))
	}
	p.visit("/")
	p.awaitLive()
	p.awaitQuiet()
	return p
}

// use presses a button, follows a link, or focuses a field.
func (one *tab) use(h hand, e *browser.Element) {
	one.t.Helper()
	switch h {
	case mouse:
		one.click(e)
	case touch:
		one.try(e.Tap)
	case keyboard:
		one.try(e.Focus)
		one.do(one.Press(kb.Enter))
	}
}

// act does something with a row, by the way that is shortest for the hand.
func (one *tab) act(h hand, id int64, action string) {
	one.t.Helper()
	row := one.row(id)
	switch {
	case h == keyboard:
		one.goTo(id)
		one.do(one.Press(shortcuts[action]))
	case action == "Complete":
		one.use(h, row.Selector(".title")) // the whole row is the target
	case h == mouse && (action == "Rename" || action == "History" || action == "Delete"):
		one.try(row.Hover)
		one.click(row.Element("button", action))
	default:
		if h == mouse {
			one.try(row.Hover)
		}
		one.use(h, row.Element("button", "More"))
		role := "menuitemradio"
		if action == "Rename" || action == "History" || action == "Delete" {
			role = "menuitem"
		}
		one.use(h, one.Element(role, action))
	}
}

// goTo moves the focus to a row by keys.
func (one *tab) goTo(id int64) {
	one.t.Helper()
	for _, key := range []string{"j", "k"} {
		before := ""
		for {
			one.do(one.Press(key))
			now := evaluate[string](one, "document.activeElement.closest('li')?.dataset.id ?? ''")
			if now == fmt.Sprint(id) {
				return
			}
			if now == before {
				break // the end of the list
			}
			before = now
		}
	}
	one.t.Fatalf("the keys j and k do not reach the row of task %d", id)
}

// write adds a task by the form.
func (one *tab) write(h hand, title string) {
	one.t.Helper()
	if h == keyboard {
		one.do(one.Press("n"))
	} else {
		one.use(h, one.Element("textbox", "New task"))
	}
	one.do(one.InsertText(title))
	if h == keyboard {
		one.do(one.Press(kb.Enter))
	} else {
		one.use(h, one.Element("button", "Add"))
	}
}
