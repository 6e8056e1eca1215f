package consumer_test

import (
	"fmt"
	"testing"
)

func completions(day, prefix string, count int) (events []string) {
	for n := range count {
		events = append(events, on(day, "task.completed", fmt.Sprint(prefix, n)))
	}
	return events
}

func TestATopicCreatedAgainIsCountedFromItsStart(t *testing.T) {
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
				w.Send(completions(yesterday, "old", 5)...)
				service, stop := w.serve("counters")
				w.expect(service, counts{Total: 5, Yesterday: 5, Complete: true})
				if !test.running {
					stop()
				}
				w.Recreate()
				w.Send(completions(today, "new", test.count)...)
				if !test.running {
					service, _ = w.serve("counters")
				}
				w.Eventually("the new topic to be counted", func() bool {
					got, _ := w.report(service)
					return got == counts{Total: int64(test.count), Today: int64(test.count), Complete: true}
				})
			}
			everywhere(t, again)
			if !test.running {
				withoutTopicIDs(t, again)
			}
		})
	}
}

func TestACountOfAnEarlierVersionIsAdopted(t *testing.T) {
	t.Parallel()
	adopted := func(w world) {
		w.Send(completions(today, "old", 5)...)
		service, stop := w.serve("counters")
		w.expect(service, counts{Total: 5, Today: 5, Complete: true})
		generation := w.Redis.HGet(w.Context(), w.Prefix+"stats:offsets", "generation").Val()
		stop()
		w.Remove("stats:origins") // as the version before left it
		service, stop = w.serve("counters")
		w.Send(completions(today, "new", 1)...)
		w.Eventually("the new one", func() bool {
			got, _ := w.report(service)
			return got == counts{Total: 6, Today: 6, Complete: true}
		})
		stop()
		if now := w.Redis.HGet(w.Context(), w.Prefix+"stats:offsets", "generation").Val(); now != generation {
			w.Errorf("counting began anew: generation %s, was %s", now, generation)
		}
		if len(w.Redis.HGetAll(w.Context(), w.Prefix+"stats:origins").Val()) == 0 {
			w.Error("the count is not bound to its topic")
		}
	}
	everywhere(t, adopted)
	withoutTopicIDs(t, adopted)
}
