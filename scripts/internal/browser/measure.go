package browser

import (
	"fmt"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/heapprofiler"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/memory"
	"github.com/chromedp/cdproto/runtime"
)

// Memory collects garbage, and returns what is left: bytes of JavaScript objects, and DOM nodes that are referred to.
func (t *Tab) Memory() (heap float64, nodes int64, err error) {
	// Finalizers of the first collection free more objects.
	for range 2 {
		if _, err := callOn(t, heapprofiler.CollectGarbage, cdp.Empty{}); err != nil {
			return 0, 0, fmt.Errorf("collect garbage: %w", err)
		}
	}
	usage, err := callOn(t, runtime.GetHeapUsage, cdp.Empty{})
	if err != nil {
		return 0, 0, err
	}
	counters, err := callOn(t, memory.GetDOMCounters, cdp.Empty{})
	if err != nil {
		return 0, 0, err
	}
	return usage.UsedSize, counters.Nodes, nil
}

// Scroll moves the page down by a distance, or up if it is negative, as a mouse wheel does: in CSS pixels, at a speed
// in CSS pixels a second.
func (t *Tab) Scroll(distance float64, speed int64) error {
	_, err := callOn(t, input.SynthesizeScrollGesture, input.SynthesizeScrollGestureParams{
		X: 400, Y: 400, YDistance: -distance, Speed: speed, GestureSourceType: input.GestureSourceTypeMouse,
	})
	return err
}
