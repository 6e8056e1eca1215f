package consumer_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func numbered(prefix string, count int) (events, titles []string) {
	for n := range count {
		title := fmt.Sprintf("%s %d", prefix, n)
		events, titles = append(events, completed(prefix+fmt.Sprint(n), title)), append(titles, title)
	}
	return events, titles
}

func TestATopicCreatedAgainIsNotifiedFromItsStart(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		running bool
		count   int // of the new topic's events; the old one had five
	}{
		"while the service is stopped, longer":      {count: 12},
		"while the service is stopped, of a length": {count: 5},
		"while the service is stopped, shorter":     {count: 3},
		"while the service runs":                    {running: true, count: 12},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			again := func(w world) {
				before, titles := numbered("old", 5)
				after, newTitles := numbered("new", test.count)
				p := &postman{}
				w.Send(before...)
				stop := w.serve("notifiers", p, time.Minute)
				w.Eventually("the old topic's notifications", p.has("old 4"))
				if !test.running {
					stop()
				}
				w.Recreate()
				w.Send(after...)
				if !test.running {
					w.serve("notifiers", p, time.Minute)
				}
				want := slices.Sorted(slices.Values(append(titles, newTitles...)))
				w.Eventually("the notifications of both topics", func() bool { return len(p.sent()) >= len(want) })
				// While the service runs it may read the new topic from the old offset on
				// before it notices.
				if diff := cmp.Diff(want, slices.Sorted(slices.Values(p.sent()))); diff != "" {
					w.Errorf("(-want +got):\n%s", diff)
				}
			}
			everywhere(t, again)
			if !test.running {
				withoutTopicIDs(t, again)
			}
		})
	}
}

func TestAnOffsetWithoutATopicIDIsAdopted(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w world) {
		p := &postman{}
		events, titles := numbered("e", 3)
		w.Send(events...)
		stop := w.serve("notifiers", p, time.Minute)
		w.Eventually("the notifications", p.has("e 2"))
		stop()
		w.Remove("notification:origins") // as the version before left it
		w.Remove("processed:*")          // only the offset is left to tell
		w.Send(completed("last", "last"))
		w.serve("readers-without-an-offset", p, time.Minute)
		w.Eventually("the last notification", p.has("last"))
		if diff := cmp.Diff(append(titles, "last"), p.sent()); diff != "" {
			w.Errorf("(-want +got):\n%s", diff)
		}
	})
}
