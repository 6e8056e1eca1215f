package consumer_test

import (
	"fmt"
	"log/slog"
	"strconv"
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

// now is on a fixed day, close to the days of the events.
func now() time.Time { return time.Date(2026, 1, 16, 12, 0, 0, 0, time.UTC) }

// serviceEnv runs the service on a broker and a Redis prefix of its own.
type serviceEnv struct{ kafkatest.Env }

func onEachBroker(t *testing.T, test func(env serviceEnv)) {
	kafkatest.OnEachBroker(t, func(env kafkatest.Env) { test(serviceEnv{env}) })
}

func withoutTopicIDs(t *testing.T, test func(env serviceEnv)) {
	kafkatest.WithoutTopicIDs(t, func(env kafkatest.Env) { test(serviceEnv{env}) })
}

// serve runs the service as app wires it, and returns it for its reports.
func (env serviceEnv) serve(group string) (service *stats.Service, stop func()) {
	env.Helper()
	log := slog.New(slog.DiscardHandler)
	var logEnds *consumer.LogEnds
	var settler *redisstore.Settler
	stop = env.Run(group, func(request kafkatest.LogEndOffsets) kafkaconsumer.Handler {
		logEnds = consumer.NewLogEnds(request, log)
		store := redisstore.New(env.Redis, env.Prefix)
		settler = redisstore.NewSettler(store, log)
		service = stats.NewService(store, logEnds, env.Kafka.Partitions, now)
		return consumer.New(service, log, prometheus.NewRegistry())
	})
	go logEnds.Run(env.Context())
	go settler.Run(env.Context())
	return service, stop
}

// counts are the counters of a report of two days.
type counts struct {
	Total, Yesterday, Today int64
	Complete                bool
}

func (env serviceEnv) report(s *stats.Service) (counts, stats.Report) {
	env.Helper()
	r, err := s.Report(env.Context(), 2)
	if err != nil {
		env.Fatal(err)
	}
	return counts{r.CompletedTotal, r.ByDay[0].Completed, r.CompletedToday, r.Complete}, r
}

// awaitLogEnd waits until everything is counted and returns the counters.
func (env serviceEnv) awaitLogEnd(s *stats.Service) counts {
	env.Helper()
	var got counts
	env.Eventually("the end of the log", func() bool {
		var r stats.Report
		got, r = env.report(s)
		return r.Complete && r.Lag != nil && *r.Lag == 0
	})
	return got
}

func (env serviceEnv) expectCounts(s *stats.Service, want counts) {
	env.Helper()
	if diff := cmp.Diff(want, env.awaitLogEnd(s)); diff != "" {
		env.Errorf("(-want +got):\n%s", diff)
	}
}

// expectUser wants those counters of the user.
func (env serviceEnv) expectUser(s *stats.Service, user int64, want counts) {
	env.Helper()
	r, err := s.ReportUser(env.Context(), strconv.FormatInt(user, 10), 2)
	if err != nil {
		env.Fatal(err)
	}
	if diff := cmp.Diff(want, counts{r.CompletedTotal, r.ByDay[0].Completed, r.CompletedToday, r.Complete}); diff != "" {
		env.Errorf("user %d (-want +got):\n%s", user, diff)
	}
}

// eventBy returns the event with its user.
func eventBy(user int64, event string) string {
	return fmt.Sprintf(`{"user_id":%d,%s`, user, event[1:])
}

// eventOn returns the JSON of an event; without an id it has the older shape.
func eventOn(day, kind, id string) string {
	if id != "" {
		id = fmt.Sprintf(`"id":%q,`, id)
	}
	return fmt.Sprintf(`{%s"type":%q,"task_id":1,"task_title":"Learn Go","timestamp":"%sT10:00:00Z"}`, id, kind, day)
}

const yesterday, today = "2026-01-15", "2026-01-16"

// history has events of two days; four of them count.
var history = []string{
	eventBy(7, eventOn(yesterday, "task.completed", "e1")), eventBy(7, eventOn(yesterday, "task.completed", "e1")),
	eventBy(7, eventOn(yesterday, "task.reopened", "e2")),
	eventBy(8, eventOn(yesterday, "task.completed", "e3")),
	eventOn(today, "task.completed", ""), eventOn(today, "task.completed", ""),
	eventBy(7, eventOn(today, "task.archived", "e4")),
	eventBy(7, eventOn(today, "task.deleted", "e5")),
	eventBy(7, eventOn(today, "task.completed", "e6")),
}

var (
	historyCounts = counts{Total: 4, Yesterday: 2, Today: 2, Complete: true}
	historyOfUser = map[int64]counts{
		7: {Total: 2, Yesterday: 1, Today: 1, Complete: true},
		8: {Total: 1, Yesterday: 1, Complete: true},
		9: {Complete: true},
	}
)

// expectHistory wants the counters of history, in all and of each user.
func (env serviceEnv) expectHistory(s *stats.Service) {
	env.Helper()
	env.expectCounts(s, historyCounts)
	for user, want := range historyOfUser {
		env.expectUser(s, user, want)
	}
}

func TestEveryCompletionCountsOnceOnItsDay(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(env serviceEnv) {
		env.Send(history...)
		service, _ := env.serve("counters")
		env.expectHistory(service)
	})
}

func TestOnlyCommittedRecordsCount(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(env serviceEnv) {
		_, abort := env.Transaction(eventOn(yesterday, "task.completed", "aborted"))
		abort()
		env.Send(history...)
		commit, _ := env.Transaction(eventOn(today, "task.completed", "e7"))
		service, stop := env.serve("counters")
		env.expectHistory(service)
		commit()
		want := counts{Total: 5, Yesterday: 2, Today: 3, Complete: true}
		env.Eventually("the transaction's end", func() bool { got, _ := env.report(service); return got == want })
		env.expectCounts(service, want) // the log logEnds with the transaction's marker

		env.Remove("*") // the target of the recount is after the marker
		env.Eventually("the recount", func() bool { got, _ := env.report(service); return got == want })
		env.expectCounts(service, want)
		stop()
		env.Remove("*")
		service, _ = env.serve("counters")
		env.expectCounts(service, want)
	})
}

func TestPartitionWithOnlyAbortedRecordsIsComplete(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(env serviceEnv) {
		_, abort := env.Transaction(history...)
		abort()
		service, _ := env.serve("counters")
		env.expectCounts(service, counts{Complete: true})
		env.Remove("*")
		env.expectCounts(service, counts{Complete: true})
	})
}

func TestCountersStayWhenTheTopicIsReadAgainFromTheStart(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(env serviceEnv) {
		env.Send(history...)
		service, stop := env.serve("counters")
		env.expectHistory(service)
		stop()
		env.Send(eventOn(today, "task.completed", "e7"))
		service, _ = env.serve("without-offsets") // a group without offsets starts at the oldest record
		env.expectCounts(service, counts{Total: 5, Yesterday: 2, Today: 3, Complete: true})
	})
}

// An undecodable record at the log's end does not count as lag.
func TestUndecodableRecordsAreDeadLetteredAndTheOthersCount(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(env serviceEnv) {
		env.Send(eventOn(today, "task.completed", "e1"), `{"type":`, eventOn(today, "task.completed", "e2"), `[]`)
		service, stop := env.serve("counters")
		env.expectCounts(service, counts{Total: 2, Today: 2, Complete: true})
		deadLetters := env.DeadLetters(2)
		if len(deadLetters) != 2 || string(deadLetters[0].Value) != `{"type":` || string(deadLetters[1].Value) != `[]` {
			env.Fatalf("dead letters: %v", deadLetters)
		}
		if got := deadLetters[0].Header("consumer-group"); got != env.Group("counters") {
			env.Errorf("consumer-group is %q", got)
		}

		stop()
		service, _ = env.serve("counters")
		env.expectCounts(service, counts{Total: 2, Today: 2, Complete: true})
		env.Send(eventOn(today, "task.completed", "e3"))
		env.Eventually("the next event", func() bool { return env.awaitLogEnd(service).Total == 3 })
		if deadLetters := env.DeadLetters(2); len(deadLetters) != 2 {
			env.Errorf("%d dead letters after a restart, want 2", len(deadLetters))
		}
	})
}

func TestServiceRecountsAfterKeysWereRemoved(t *testing.T) {
	t.Parallel()
	tests := map[string]string{ // what is removed
		"everything":   "*",
		"the offsets":  "stats:offsets",
		"the counters": "stats:tasks:*",
	}
	for name, pattern := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onEachBroker(t, func(env serviceEnv) {
				env.Send(history...)
				service, _ := env.serve("counters")
				env.expectHistory(service)

				env.Remove(pattern)
				env.Eventually("the recount by an idle member", func() bool {
					got, _ := env.report(service)
					return got == historyCounts
				})
				env.Remove(pattern)
				env.Send(eventOn(today, "task.completed", "e7"))
				env.Eventually("the recount by a busy member", func() bool {
					return env.awaitLogEnd(service) == counts{Total: 5, Yesterday: 2, Today: 3, Complete: true}
				})
			})
		})
	}
}

// Each member reads its stored offset every 5 s. A member that does not find it resumes,
// which is a rebalance for both.
func TestIdleServiceRecountsWithinSecondsAfterAFlushOfRedis(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(env serviceEnv) {
		env.Send(history...)
		service, _ := env.serve("counters")
		env.serve("counters")
		env.expectHistory(service)
		env.Remove("*")
		flushed := time.Now()
		env.Eventually("the recount", func() bool {
			got, _ := env.report(service)
			return got == historyCounts
		})
		took := time.Since(flushed)
		env.Logf("complete again after %v", took.Round(time.Millisecond))
		if took > 25*time.Second { // 10 s, and a margin for a busy machine
			env.Errorf("complete again after %v", took)
		}
	})
}

func TestMembersCountExactlyDuringRebalances(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(env serviceEnv) {
		service, stop := env.serve("counters")
		const rounds, each = 5, 40
		for round := range rounds {
			var values []string
			for i := range each {
				id := fmt.Sprintf("r%d-%d", round, i)
				values = append(values, eventOn(today, "task.completed", id), eventOn(today, "task.completed", id))
			}
			env.Send(values...)
			next, stopNext := env.serve("counters")
			stop()
			service, stop = next, stopNext
		}
		env.expectCounts(service, counts{Total: rounds * each, Today: rounds * each, Complete: true})
	})
}
