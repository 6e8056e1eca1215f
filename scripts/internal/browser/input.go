package browser

import (
	"context"
	"fmt"
	"time"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// settleTime separates two measurements of an element's place: longer than a frame of an animation.
const settleTime = 20 * time.Millisecond

// place is where an element is, in CSS pixels of the viewport.
type place struct {
	X       float64 `json:"x"` // of its centre
	Y       float64 `json:"y"`
	Covered string  `json:"covered"` // what is pointed at instead of the element
}

// measure scrolls an element into view if it is not there, and returns its place. A label may stand for its control.
const measure = `function() {
	const covered = () => {
		const r = this.getBoundingClientRect(), x = r.left + r.width / 2, y = r.top + r.height / 2;
		if (r.width === 0 || r.height === 0) return { x, y, covered: 'it has no size' };
		const hit = document.elementFromPoint(x, y);
		const reached = hit && (this.contains(hit) || hit.contains(this) && hit.closest('label')?.control === this);
		return { x, y, covered: reached ? '' : hit?.outerHTML.slice(0, 120) ?? 'nothing' };
	};
	const now = covered();
	if (now.covered === '') return now;
	this.scrollIntoView({ block: 'center', inline: 'nearest', behavior: 'instant' });
	return covered();
}`

// locate returns the place of an element that does not move.
func (e *Element) locate() (place, error) {
	before, err := Call[place](e, measure)
	if err != nil {
		return place{}, err
	}
	select {
	case <-e.tab.ctx.Done():
		return place{}, context.Cause(e.tab.ctx)
	case <-time.After(settleTime):
	}
	now, err := Call[place](e, measure)
	switch {
	case err != nil:
	case now.Covered != "":
		err = fmt.Errorf("%w: %s is covered: %s", ErrNotReady, e, now.Covered)
	case before != now:
		err = fmt.Errorf("%w: %s moves", ErrNotReady, e)
	}
	return now, err
}

// Click presses and releases the mouse's button on the element.
func (e *Element) Click() error {
	at, err := e.locate()
	if err != nil {
		return err
	}
	_, err = runOn(e.tab, chromedp.MouseClickXY(at.X, at.Y))
	return err
}

// Hover moves the mouse onto the element.
func (e *Element) Hover() error {
	at, err := e.locate()
	if err != nil {
		return err
	}
	return e.tab.mouse(input.DispatchMouseEventTypeMouseMoved, at)
}

// MouseDown presses the mouse's button on the element. The result releases it there.
func (e *Element) MouseDown() (release func() error, err error) {
	at, err := e.locate()
	if err != nil {
		return nil, err
	}
	release = func() error { return e.tab.mouse(input.DispatchMouseEventTypeMouseReleased, at) }
	return release, e.tab.mouse(input.DispatchMouseEventTypeMousePressed, at)
}

func (t *Tab) mouse(kind input.DispatchMouseEventType, at place) error {
	params := input.DispatchMouseEventParams{Type: kind, X: at.X, Y: at.Y}
	if kind != input.DispatchMouseEventTypeMouseMoved {
		params.Button, params.ClickCount = input.MouseButtonLeft, 1
	}
	_, err := callOn(t, input.DispatchMouseEvent, params)
	return err
}

// Tap touches the element. SetTouch must be on.
func (e *Element) Tap() error {
	at, err := e.locate()
	if err != nil {
		return err
	}
	_, err = runOn(e.tab, chromedp.TapXY(at.X, at.Y))
	return err
}

// Focus moves the focus to the element.
func (e *Element) Focus() error {
	_, err := Call[bool](e, "function() { this.focus(); return true; }")
	return err
}

// Press sends the keys of a text, and of kb's constants such as kb.Enter, to what has the focus.
func (t *Tab) Press(keys string, modifiers ...chromedp.Modifier) error {
	for _, r := range keys {
		var down, up *input.DispatchKeyEventParams
		for _, event := range kb.Encode(r) {
			for _, m := range modifiers {
				event.Modifiers |= int64(m)
			}
			switch event.Type {
			case kb.KeyChar:
				// One event for the key and its character: a page that handles the key prevents the character.
				if event.Modifiers&^int64(chromedp.ModifierShift) == 0 {
					down.Type, down.Text, down.UnmodifiedText = input.DispatchKeyEventTypeKeyDown, event.Text, event.UnmodifiedText
				}
			case kb.KeyUp:
				up = event
			default:
				down = event
			}
		}
		for _, event := range []*input.DispatchKeyEventParams{down, up} {
			if _, err := callOn(t, input.DispatchKeyEvent, *event); err != nil {
				return err
			}
		}
	}
	return nil
}

// InsertText sends a text to what has the focus as an input method does, such as one for emoji.
func (t *Tab) InsertText(text string) error {
	_, err := callOn(t, input.InsertText, input.InsertTextParams{Text: text})
	return err
}
