package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/todo/platform/kafka"
	"example.com/todo/platform/kafka/producer"
	"example.com/todo/platform/redis"
	"example.com/todo/stats-service/internal/consumer"
	"example.com/todo/stats-service/internal/redisstore"
	"example.com/todo/stats-service/internal/stats"
)

// rebuild runs a rebuild as app wires it.
func (env serviceEnv) rebuild(group string, progress func(done, all int64)) (summary consumer.Summary, err error) {
	env.Helper()
	sources, err := consumer.NewSources(env.Context(), env.Kafka, env.Topic, env.DLQ, env.Group(group))
	if err != nil {
		env.Fatal(err)
	}
	live := redisstore.New(env.Redis, env.Prefix)
	err = redis.WithLock(env.Context(), env.Redis, live.RebuildLockKey(), func(ctx context.Context, token string) error {
		shadow := live.NewShadow(token)
		counter := stats.NewService(shadow.Store(), nil, env.Kafka.Partitions, now)
		summary, err = consumer.NewRebuild(counter, shadow, sources, progress).Run(ctx)
		return err
	})
	return summary, err
}

func ignoreProgress(int64, int64) {}

// sendAndAwait sends the values and waits until the service has counted the topic, which
// had that number of records before.
func (env serviceEnv) sendAndAwait(before int, values ...string) {
	env.Helper()
	env.Send(values...)
	store := redisstore.New(env.Redis, env.Prefix)
	env.Eventually("the end of the log", func() bool {
		counters, err := store.Read(env.Context(), nil)
		if err != nil {
			env.Fatal(err)
		}
		var done int64
		for _, offset := range counters.Offsets {
			done += offset
		}
		return done == int64(before+len(values))
	})
}

// falsify makes the counters wrong, but they still add up.
func (env serviceEnv) falsify(by int64) {
	env.Helper()
	for _, key := range []string{"stats:tasks:completed", "stats:tasks:2020-02-02"} {
		if err := env.Redis.IncrBy(env.Context(), env.Prefix+key, by).Err(); err != nil {
			env.Fatal(err)
		}
	}
	if err := env.Redis.SAdd(env.Context(), env.Prefix+"stats:days", "2020-02-02").Err(); err != nil {
		env.Fatal(err)
	}
}

func TestRebuildCorrectsCountersThatStillAddUp(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(env serviceEnv) {
		env.Send(append(history, `{"type":`)...)
		service, stop := env.serve("counters")
		env.expectHistory(service)
		env.falsify(7)
		got, err := env.rebuild("counters", ignoreProgress)
		if err != nil {
			t.Fatal(err)
		}
		want := consumer.Summary{Records: 10, Counted: 4, Duplicates: 2, Unknown: 1, Excluded: 1, Swap: stats.SwapResult{
			Before: 11, After: 4, Days: []stats.DayChange{{Day: "2020-02-02", Before: 7}},
		}}
		if diff := cmp.Diff(want, got); diff != "" {
			env.Errorf("summary (-want +got):\n%s", diff)
		}
		env.expectHistory(service)

		// Copies of events that the rebuild counted, for the running member and for a new one.
		env.sendAndAwait(10, history[0], eventOn(today, "task.completed", "e7"))
		env.expectCounts(service, counts{Total: 5, Yesterday: 2, Today: 3, Complete: true})
		stop()
		service, _ = env.serve("counters")
		env.sendAndAwait(12, history[3], eventOn(today, "task.completed", "e7"), eventOn(today, "task.completed", "e8"))
		env.expectCounts(service, counts{Total: 6, Yesterday: 2, Today: 4, Complete: true})
		if deadLetters := env.DeadLetters(1); len(deadLetters) != 1 {
			env.Errorf("%d dead letters, want 1", len(deadLetters))
		}
	})
}

func TestRebuildIsExactWhileTwoMembersCount(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(env serviceEnv) {
		service, _ := env.serve("counters")
		env.serve("counters")
		const rebuilds, each = 3, 300
		for round := range rebuilds {
			env.sendTwice(round, each)
			env.expectNoDecrease(service, func() {
				sent := make(chan struct{})
				go func() {
					defer close(sent)
					for part := range 10 {
						env.sendTwice(rebuilds+round*10+part, each)
					}
				}()
				for busy := true; busy; {
					if _, err := env.rebuild("counters", ignoreProgress); err != nil {
						env.Error(err)
					}
					select {
					case <-sent:
						busy = false
					default:
					}
				}
			})
		}
		total := int64(rebuilds * 11 * each)
		env.sendAndAwait(int(2 * total))
		env.expectCounts(service, counts{Total: total, Today: total, Complete: true})
	})
}

const usersOfTwice = 5

// sendTwice sends completions by that many users in turn, each completion twice, with keys
// of both partitions.
func (env serviceEnv) sendTwice(round, each int) {
	env.Helper()
	producer := producer.New(env.Kafka, nil)
	defer producer.Close()
	var records []kafka.Record
	for i := range each {
		id := fmt.Sprintf("r%d-%d", round, i)
		for range 2 {
			records = append(records, kafka.Record{
				Topic: env.Topic, Key: fmt.Appendf(nil, "task-%d", i), Value: []byte(eventBy(int64(i%usersOfTwice), eventOn(today, "task.completed", id))),
			})
		}
	}
	if err := producer.Send(env.Context(), records); err != nil {
		env.Error(err)
	}
}

// expectNoDecrease fails when the total ever decreases while run runs.
func (env serviceEnv) expectNoDecrease(s *stats.Service, run func()) {
	env.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		run()
	}()
	var last counts
	for {
		got, _ := env.report(s)
		if got.Total < last.Total || last.Complete && !got.Complete {
			env.Errorf("after %v the report is %v", last, got)
		}
		last = got
		select {
		case <-done:
			return
		default:
		}
	}
}

func TestServiceRecountsAfterAFlushDuringARebuild(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(env serviceEnv) {
		env.Send(history...)
		service, _ := env.serve("counters")
		env.serve("counters")
		env.expectHistory(service)
		flushed := false
		_, err := env.rebuild("counters", func(int64, int64) {
			if !flushed {
				flushed = true
				env.Remove("*")
			}
		})
		if !errors.Is(err, consumer.ErrShadowLost) && !errors.Is(err, stats.ErrLockLost) {
			env.Errorf("got %v, want a lost shadow or a lost lock", err)
		}
		env.Eventually("the recount", func() bool {
			got, _ := env.report(service)
			return got == historyCounts
		})
		env.expectHistory(service)
	})
}

func TestRebuildInAnEmptyRedisCountsTheWholeLog(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(env serviceEnv) {
		env.Send(history...)
		if _, err := env.rebuild("counters", ignoreProgress); err != nil {
			t.Fatal(err)
		}
		service, _ := env.serve("counters")
		env.expectHistory(service)
		env.sendAndAwait(len(history), history[0], eventOn(today, "task.completed", "e7"))
		env.expectCounts(service, counts{Total: 5, Yesterday: 2, Today: 3, Complete: true})
	})
}

// The service is stopped, so only the rebuild can repair the counters.
func TestRebuildRepairsCountersOfAnotherTopic(t *testing.T) {
	t.Parallel()
	for name, count := range map[string]int{"longer": 12, "of its length": 5, "shorter": 3, "empty": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			again := func(rebuilt int) func(env serviceEnv) {
				return func(env serviceEnv) {
					env.Send(completions(yesterday, "old", 5)...)
					service, stop := env.serve("counters")
					env.expectCounts(service, counts{Total: 5, Yesterday: 5, Complete: true})
					stop()
					env.Recreate()
					if count > 0 {
						env.Send(completions(today, "new", count)...)
					}
					if _, err := env.rebuild("counters", ignoreProgress); err != nil {
						env.Fatal(err)
					}
					counters, err := redisstore.New(env.Redis, env.Prefix).Read(env.Context(), nil)
					if err != nil || counters.Total != int64(rebuilt) {
						env.Errorf("after the rebuild: %+v, %v", counters, err)
					}
					want := counts{Total: int64(count), Today: int64(count), Complete: true}
					service, _ = env.serve("counters")
					env.expectCounts(service, want)
					env.Send(completions(today, "more", 1)...)
					env.Eventually("the next", func() bool { got, _ := env.report(service); return got.Total == want.Total+1 })
				}
			}
			onEachBroker(t, again(count))
			// Without topic ids the rebuild stops at the live offset, and the service continues there.
			withoutTopicIDs(t, again(min(count, 5)))
		})
	}
}

func TestRebuildCountsOnlyCommittedRecords(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(env serviceEnv) {
		_, abort := env.Transaction(eventOn(yesterday, "task.completed", "aborted"))
		abort()
		commit, _ := env.Transaction(eventOn(today, "task.completed", "e7"))
		commit()
		_, abort = env.Transaction(eventOn(yesterday, "task.completed", "open"))
		service, _ := env.serve("counters")
		want := counts{Total: 1, Today: 1, Complete: true}
		env.expectCounts(service, want)
		env.falsify(7)
		summary, err := env.rebuild("counters", ignoreProgress)
		if err != nil || summary.Swap.Before != 8 || summary.Swap.After != 1 {
			env.Errorf("%+v, %v", summary, err)
		}
		env.expectCounts(service, want)
		abort()
		env.Send(eventOn(today, "task.completed", "e8"))
		env.Eventually("the next", func() bool { got, _ := env.report(service); return got.Total == 2 })
	})
}

func TestRebuildRejectsASecondOne(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(env serviceEnv) {
		env.Send(history...)
		service, _ := env.serve("counters")
		env.expectHistory(service)
		_, err := env.rebuild("counters", func(int64, int64) {
			if _, r := env.report(service); !r.Rebuilding {
				env.Error("the report does not say that a rebuild is under way")
			}
			_, err := env.rebuild("counters", ignoreProgress)
			var held *redis.LockedError
			if !errors.As(err, &held) {
				env.Errorf("the second one returned %v, want a LockedError", err)
			}
		})
		if err != nil {
			env.Error(err)
		}
		if _, r := env.report(service); r.Rebuilding {
			env.Error("the report says that a rebuild is under way")
		}
		env.expectHistory(service)
	})
}

// The live handler and the rebuild both skip a batch that cannot be decoded.
func TestRebuildSkipsABatchThatCannotBeDecoded(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(env serviceEnv) {
		env.Send(eventOn(today, "task.completed", "e1"))
		skipped := env.SendOversizedBatch()
		env.Send(eventOn(today, "task.completed", "e2"))
		service, _ := env.serve("counters")
		env.expectCounts(service, counts{Total: 2, Today: 2, Complete: true})
		env.falsify(7)
		got, err := env.rebuild("counters", ignoreProgress)
		if err != nil {
			t.Fatal(err)
		}
		if got.Records != 3 || got.Counted != 2 || got.Excluded != 1 {
			env.Errorf("summary %+v", got)
		}
		env.expectCounts(service, counts{Total: 2, Today: 2, Complete: true})
		env.sendAndAwait(2+skipped, eventOn(today, "task.completed", "e3"))
		env.expectCounts(service, counts{Total: 3, Today: 3, Complete: true})
		if deadLetters := env.DeadLetters(1); len(deadLetters) != 1 || deadLetters[0].Value != nil || deadLetters[0].Header("original-last-offset") == "" {
			env.Errorf("dead letters %+v", deadLetters)
		}
	})
}
