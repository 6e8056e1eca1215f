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

func TestRecreatedTopicIsNotifiedFromItsStart(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		running bool
		count   int // of the new topic's events; the old one had five
	}{
		"while the service is stopped, longer":             {count: 12},
		"while the service is stopped, of the same length": {count: 5},
		"while the service is stopped, shorter":            {count: 3},
		"while the service runs":                           {running: true, count: 12},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			again := func(env serviceEnv) {
				before, titles := numbered("old", 5)
				after, newTitles := numbered("new", test.count)
				sender := &fakeSender{}
				env.Send(before...)
				stop := env.serve("notifiers", sender, time.Minute)
				env.Eventually("the old topic's notifications", sender.has("old 4"))
				if !test.running {
					stop()
				}
				env.Recreate()
				env.Send(after...)
				if !test.running {
					env.serve("notifiers", sender, time.Minute)
				}
				want := slices.Sorted(slices.Values(append(titles, newTitles...)))
				env.Eventually("the notifications of both topics", func() bool { return len(sender.sent()) >= len(want) })
				// While the service runs, it may read the new topic from the old offset
				// before it detects the change.
				if diff := cmp.Diff(want, slices.Sorted(slices.Values(sender.sent()))); diff != "" {
					env.Errorf("(-want +got):\n%s", diff)
				}
			}
			onEachBroker(t, again)
			if !test.running {
				withoutTopicIDs(t, again)
			}
		})
	}
}

func TestOffsetWithoutAnIncarnationIsAdopted(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(env serviceEnv) {
		sender := &fakeSender{}
		events, titles := numbered("e", 3)
		env.Send(events...)
		stop := env.serve("notifiers", sender, time.Minute)
		env.Eventually("the notifications", sender.has("e 2"))
		stop()
		env.Remove("notification:origins") // as an earlier version leaves it
		env.Remove("processed:*")          // so only the offset recognises the records
		env.Send(completed("last", "last"))
		env.serve("readers-without-offsets", sender, time.Minute)
		env.Eventually("the last notification", sender.has("last"))
		if diff := cmp.Diff(append(titles, "last"), sender.sent()); diff != "" {
			env.Errorf("(-want +got):\n%s", diff)
		}
	})
}
