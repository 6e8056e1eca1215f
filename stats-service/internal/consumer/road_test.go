package consumer_test

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	kafkaconsumer "example.com/todo/platform/kafka/consumer"
	"example.com/todo/platform/kafka/kafkatest"
	"example.com/todo/stats-service/internal/consumer"
	"example.com/todo/stats-service/internal/redisstore"
	"example.com/todo/stats-service/internal/stats"
)

// now is a fixed day, so that the events' days are near.
func now() time.Time { return time.Date(2026, 1, 16, 12, 0, 0, 0, time.UTC) }

// world is the tests' world, in which the service runs.
type world struct{ kafkatest.Env }

func everywhere(t *testing.T, test func(w world)) {
	kafkatest.OnEachBroker(t, func(w kafkatest.Env) { test(world{w}) })
}

func withoutTopicIDs(t *testing.T, test func(w world)) {
	kafkatest.WithoutTopicIDs(t, func(w kafkatest.Env) { test(world{w}) })
}

// serve runs the service as app wires it, and returns it for its reports.
func (w world) serve(group string) (service *stats.Service, stop func()) {
	w.Helper()
	log := slog.New(slog.DiscardHandler)
	var ends *consumer.Ends
	stop = w.Run(group, func(survey kafkatest.Survey) kafkaconsumer.Handler {
		ends = consumer.NewEnds(survey, log)
		service = stats.NewService(redisstore.New(w.Redis, w.Prefix), ends, w.Kafka.Partitions, now)
		return consumer.New(service, log, prometheus.NewRegistry())
	})
	go ends.Run(w.Context())
	return service, stop
}

// counts is what a report says of two days.
type counts struct {
	Total, Yesterday, Today int64
	Complete                bool
}

func (w world) report(s *stats.Service) (counts, stats.Report) {
	w.Helper()
	r, err := s.Report(w.Context(), 2)
	if err != nil {
		w.Fatal(err)
	}
	return counts{r.CompletedTotal, r.ByDay[0].Completed, r.CompletedToday, r.Complete}, r
}

// settled waits until everything is counted and returns the figures.
func (w world) settled(s *stats.Service) counts {
	w.Helper()
	var got counts
	w.Eventually("the end of the log", func() bool {
		var r stats.Report
		got, r = w.report(s)
		return r.Complete && r.Lag != nil && *r.Lag == 0
	})
	return got
}

func (w world) expect(s *stats.Service, want counts) {
	w.Helper()
	if diff := cmp.Diff(want, w.settled(s)); diff != "" {
		w.Errorf("(-want +got):\n%s", diff)
	}
}

// on is an event on the wire; without an id it has the older shape.
func on(day, kind, id string) string {
	if id != "" {
		id = fmt.Sprintf(`"id":%q,`, id)
	}
	return fmt.Sprintf(`{%s"type":%q,"task_id":1,"task_title":"Learn Go","timestamp":"%sT10:00:00Z"}`, id, kind, day)
}

const yesterday, today = "2026-01-15", "2026-01-16"

// history is two days of events, of which four count.
var history = []string{
	on(yesterday, "task.completed", "e1"), on(yesterday, "task.completed", "e1"),
	on(yesterday, "task.reopened", "e2"),
	on(yesterday, "task.completed", "e3"),
	on(today, "task.completed", ""), on(today, "task.completed", ""),
	on(today, "task.archived", "e4"),
	on(today, "task.deleted", "e5"),
	on(today, "task.completed", "e6"),
}

var historyCounts = counts{Total: 4, Yesterday: 2, Today: 2, Complete: true}

func TestEachCompletionCountsOnceOnItsDay(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w world) {
		w.Send(history...)
		service, _ := w.serve("counters")
		w.expect(service, historyCounts)
	})
}

func TestWhatIsCommittedAloneCounts(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w world) {
		_, abort := w.Transaction(on(yesterday, "task.completed", "aborted"))
		abort()
		w.Send(history...)
		commit, _ := w.Transaction(on(today, "task.completed", "e7"))
		service, stop := w.serve("counters")
		w.expect(service, historyCounts)
		commit()
		want := counts{Total: 5, Yesterday: 2, Today: 3, Complete: true}
		w.Eventually("the transaction's end", func() bool { got, _ := w.report(service); return got == want })
		w.expect(service, want) // the log ends with the transaction's marker

		w.Remove("*") // the recount's target lies behind the marker
		w.Eventually("the recount", func() bool { got, _ := w.report(service); return got == want })
		w.expect(service, want)
		stop()
		w.Remove("*")
		service, _ = w.serve("counters")
		w.expect(service, want)
	})
}

func TestAPartitionOfNothingButAbortedRecordsIsComplete(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w world) {
		_, abort := w.Transaction(history...)
		abort()
		service, _ := w.serve("counters")
		w.expect(service, counts{Complete: true})
		w.Remove("*")
		w.expect(service, counts{Complete: true})
	})
}

func TestReplayingTheTopicFromZeroChangesNothing(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w world) {
		w.Send(history...)
		service, stop := w.serve("counters")
		w.expect(service, historyCounts)
		stop()
		w.Send(on(today, "task.completed", "e7"))
		service, _ = w.serve("without-a-place") // a group that lost its offsets begins at the oldest record
		w.expect(service, counts{Total: 5, Yesterday: 2, Today: 3, Complete: true})
	})
}

// The rubbish at the log's end is nothing that is left to count.
func TestRubbishIsPutAsideAndTheRestCounts(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w world) {
		w.Send(on(today, "task.completed", "e1"), `{"type":`, on(today, "task.completed", "e2"), `[]`)
		service, stop := w.serve("counters")
		w.expect(service, counts{Total: 2, Today: 2, Complete: true})
		dead := w.DeadLetters(2)
		if len(dead) != 2 || string(dead[0].Value) != `{"type":` || string(dead[1].Value) != `[]` {
			w.Fatalf("dead letters: %v", dead)
		}
		if got := dead[0].Header("consumer-group"); got != w.Group("counters") {
			w.Errorf("consumer-group is %q", got)
		}

		stop()
		service, _ = w.serve("counters")
		w.expect(service, counts{Total: 2, Today: 2, Complete: true})
		w.Send(on(today, "task.completed", "e3"))
		w.Eventually("the next event", func() bool { return w.settled(service).Total == 3 })
		if dead := w.DeadLetters(2); len(dead) != 2 {
			w.Errorf("%d dead letters after a restart, want 2", len(dead))
		}
	})
}

func TestRemovedKeysAreNoticedAndCountedAnew(t *testing.T) {
	t.Parallel()
	tests := map[string]string{ // what is removed
		"everything":   "*",
		"the offsets":  "stats:offsets",
		"the counters": "stats:tasks:*",
	}
	for name, pattern := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			everywhere(t, func(w world) {
				w.Send(history...)
				service, _ := w.serve("counters")
				w.expect(service, historyCounts)

				w.Remove(pattern)
				w.Eventually("the recount by an idle member", func() bool {
					got, _ := w.report(service)
					return got == historyCounts
				})
				w.Remove(pattern)
				w.Send(on(today, "task.completed", "e7"))
				w.Eventually("the recount by a busy member", func() bool {
					return w.settled(service) == counts{Total: 5, Yesterday: 2, Today: 3, Complete: true}
				})
			})
		})
	}
}

// Each member looks for its place every 5 s; one that misses it begins again,
// which is a rebalance for both.
func TestAFlushedRedisIsWholeAgainInSecondsThoughNothingIsWritten(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w world) {
		w.Send(history...)
		service, _ := w.serve("counters")
		w.serve("counters")
		w.expect(service, historyCounts)
		w.Remove("*")
		flushed := time.Now()
		w.Eventually("the recount", func() bool {
			got, _ := w.report(service)
			return got == historyCounts
		})
		took := time.Since(flushed)
		w.Logf("whole again after %v", took.Round(time.Millisecond))
		if took > 25*time.Second { // 10 s, and room for a busy machine
			w.Errorf("whole again after %v", took)
		}
	})
}

func TestSeveralMembersCountExactlyWhileTheyComeAndGo(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w world) {
		service, stop := w.serve("counters")
		const rounds, each = 5, 40
		for round := range rounds {
			var values []string
			for i := range each {
				id := fmt.Sprintf("r%d-%d", round, i)
				values = append(values, on(today, "task.completed", id), on(today, "task.completed", id))
			}
			w.Send(values...)
			next, stopNext := w.serve("counters")
			stop()
			service, stop = next, stopNext
		}
		w.expect(service, counts{Total: rounds * each, Today: rounds * each, Complete: true})
	})
}
