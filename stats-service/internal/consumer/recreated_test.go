package consumer_test

import (
	"fmt"
	"testing"
)

func completions(day, prefix string, count int) (events []string) {
	for n := range count {
		events = append(events, eventOn(day, "task.completed", fmt.Sprint(prefix, n)))
	}
	return events
}

func TestRecreatedTopicIsCountedFromItsStart(t *testing.T) {
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
				env.Send(completions(yesterday, "old", 5)...)
				service, stop := env.serve("counters")
				env.expectCounts(service, counts{Total: 5, Yesterday: 5, Complete: true})
				if !test.running {
					stop()
				}
				env.Recreate()
				env.Send(completions(today, "new", test.count)...)
				if !test.running {
					service, _ = env.serve("counters")
				}
				env.Eventually("the new topic to be counted", func() bool {
					got, _ := env.report(service)
					return got == counts{Total: int64(test.count), Today: int64(test.count), Complete: true}
				})
			}
			onEachBroker(t, again)
			if !test.running {
				withoutTopicIDs(t, again)
			}
		})
	}
}

func TestCountersOfAnEarlierVersionAreAdopted(t *testing.T) {
	t.Parallel()
	test := func(env serviceEnv) {
		env.Send(completions(today, "old", 5)...)
		service, stop := env.serve("counters")
		env.expectCounts(service, counts{Total: 5, Today: 5, Complete: true})
		generation := env.Redis.HGet(env.Context(), env.Prefix+"stats:offsets", "generation").Val()
		stop()
		env.Remove("stats:origins") // as an earlier version leaves it
		service, stop = env.serve("counters")
		env.Send(completions(today, "new", 1)...)
		env.Eventually("the new one", func() bool {
			got, _ := env.report(service)
			return got == counts{Total: 6, Today: 6, Complete: true}
		})
		stop()
		if now := env.Redis.HGet(env.Context(), env.Prefix+"stats:offsets", "generation").Val(); now != generation {
			env.Errorf("recounted: generation %s, was %s", now, generation)
		}
		if len(env.Redis.HGetAll(env.Context(), env.Prefix+"stats:origins").Val()) == 0 {
			env.Error("the incarnations are not stored")
		}
	}
	onEachBroker(t, test)
	withoutTopicIDs(t, test)
}
