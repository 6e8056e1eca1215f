package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/todo/platform/kafka"
	"example.com/todo/platform/kafka/producer"
	"example.com/todo/platform/kafka/reader"
	"example.com/todo/platform/redis"
	"example.com/todo/stats-service/internal/consumer"
	"example.com/todo/stats-service/internal/redisstore"
	"example.com/todo/stats-service/internal/stats"
)

// rebuild runs one as app wires it.
func (w world) rebuild(group string, progress func(done, all int64)) (summary consumer.Summary, err error) {
	w.Helper()
	scan := func(topic string) consumer.Scan {
		return func(ctx context.Context, from map[int32]int64, visit func(context.Context, []kafka.Record) error) (map[int32]int64, error) {
			return reader.Scan(ctx, w.Kafka, topic, from, visit)
		}
	}
	id, err := reader.TopicID(w.Context(), w.Kafka, w.Topic)
	if err != nil {
		w.Fatal(err)
	}
	live := redisstore.New(w.Redis, w.Prefix)
	err = redis.WithLock(w.Context(), w.Redis, live.RebuildLock(), func(ctx context.Context, token string) error {
		shadow := live.NewShadow(token)
		counter := stats.NewService(shadow.Store(), nil, w.Kafka.Partitions, now)
		sources := consumer.Sources{
			Log: scan(w.Topic), DeadLetters: scan(w.DLQ), Group: w.Group(group),
			Oldest: func(ctx context.Context) (map[int32]int64, error) {
				return reader.OffsetsSince(ctx, w.Kafka, w.Topic, time.Time{})
			},
			Ends: func(ctx context.Context) (map[int32]int64, error) { return reader.LogEndOffsets(ctx, w.Kafka, w.Topic) },
			Owns: kafka.PartitionLog{TopicID: id}.Matches,
		}
		summary, err = consumer.NewRebuild(counter, shadow, sources, progress).Run(ctx)
		return err
	})
	return summary, err
}

func quietly(int64, int64) {}

// sendOn sends the values and waits until the service is done with all of the
// topic, which had so many records before.
func (w world) sendOn(before int, values ...string) {
	w.Helper()
	w.Send(values...)
	store := redisstore.New(w.Redis, w.Prefix)
	w.Eventually("the end of the log", func() bool {
		figures, err := store.Read(w.Context(), nil)
		if err != nil {
			w.Fatal(err)
		}
		var done int64
		for _, offset := range figures.Offsets {
			done += offset
		}
		return done == int64(before+len(values))
	})
}

// falsify makes the counters wrong in a way that nothing notices.
func (w world) falsify(by int64) {
	w.Helper()
	for _, key := range []string{"stats:tasks:completed", "stats:tasks:2020-02-02"} {
		if err := w.Redis.IncrBy(w.Context(), w.Prefix+key, by).Err(); err != nil {
			w.Fatal(err)
		}
	}
	if err := w.Redis.SAdd(w.Context(), w.Prefix+"stats:days", "2020-02-02").Err(); err != nil {
		w.Fatal(err)
	}
}

func TestARebuildCorrectsWhatNobodyNoticed(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w world) {
		w.Send(append(history, `{"type":`)...)
		service, stop := w.serve("counters")
		w.expect(service, historyCounts)
		w.falsify(7)
		got, err := w.rebuild("counters", quietly)
		if err != nil {
			t.Fatal(err)
		}
		want := consumer.Summary{Records: 10, Counted: 4, Duplicates: 2, Unknown: 1, NotOurs: 1, Swap: stats.Swap{
			Before: 11, After: 4, Days: []stats.Change{{Day: "2020-02-02", Before: 7}},
		}}
		if diff := cmp.Diff(want, got); diff != "" {
			w.Errorf("summary (-want +got):\n%s", diff)
		}
		w.expect(service, historyCounts)

		// Copies of what the rebuild counted, to the member that was there and to a new one.
		w.sendOn(10, history[0], on(today, "task.completed", "e7"))
		w.expect(service, counts{Total: 5, Yesterday: 2, Today: 3, Complete: true})
		stop()
		service, _ = w.serve("counters")
		w.sendOn(12, history[3], on(today, "task.completed", "e7"), on(today, "task.completed", "e8"))
		w.expect(service, counts{Total: 6, Yesterday: 2, Today: 4, Complete: true})
		if dead := w.DeadLetters(1); len(dead) != 1 {
			w.Errorf("%d dead letters, want 1", len(dead))
		}
	})
}

func TestARebuildIsExactWhileTwoMembersCount(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w world) {
		service, _ := w.serve("counters")
		w.serve("counters")
		const rebuilds, each = 3, 300
		for round := range rebuilds {
			w.write(round, each)
			w.expectAtLeast(service, func() {
				sent := make(chan struct{})
				go func() {
					defer close(sent)
					for part := range 10 {
						w.write(rebuilds+round*10+part, each)
					}
				}()
				for busy := true; busy; {
					if _, err := w.rebuild("counters", quietly); err != nil {
						w.Error(err)
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
		w.sendOn(int(2 * total))
		w.expect(service, counts{Total: total, Today: total, Complete: true})
	})
}

// write sends so many completions, each of them twice, under keys of both partitions.
func (w world) write(round, each int) {
	w.Helper()
	producer := producer.New(w.Kafka)
	defer producer.Close()
	var records []kafka.Record
	for i := range each {
		id := fmt.Sprintf("r%d-%d", round, i)
		for range 2 {
			records = append(records, kafka.Record{
				Topic: w.Topic, Key: fmt.Appendf(nil, "task-%d", i), Value: []byte(on(today, "task.completed", id)),
			})
		}
	}
	if err := producer.Send(w.Context(), records); err != nil {
		w.Error(err)
	}
}

// expectAtLeast fails when the total ever becomes less while what is done is done.
func (w world) expectAtLeast(s *stats.Service, what func()) {
	w.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		what()
	}()
	var last counts
	for {
		got, _ := w.report(s)
		if got.Total < last.Total || last.Complete && !got.Complete {
			w.Errorf("after %v the report says %v", last, got)
		}
		last = got
		select {
		case <-done:
			return
		default:
		}
	}
}

func TestAFlushInTheMiddleOfARebuildIsRepairedByTheService(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w world) {
		w.Send(history...)
		service, _ := w.serve("counters")
		w.serve("counters")
		w.expect(service, historyCounts)
		flushed := false
		_, err := w.rebuild("counters", func(int64, int64) {
			if !flushed {
				flushed = true
				w.Remove("*")
			}
		})
		if !errors.Is(err, consumer.ErrShadowLost) && !errors.Is(err, stats.ErrLockLost) {
			w.Errorf("got %v, want that the shadow or the lock is gone", err)
		}
		w.Eventually("the recount", func() bool {
			got, _ := w.report(service)
			return got == historyCounts
		})
	})
}

func TestARebuildInAnEmptyRedisCountsTheWholeLog(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w world) {
		w.Send(history...)
		if _, err := w.rebuild("counters", quietly); err != nil {
			t.Fatal(err)
		}
		service, _ := w.serve("counters")
		w.expect(service, historyCounts)
		w.sendOn(len(history), history[0], on(today, "task.completed", "e7"))
		w.expect(service, counts{Total: 5, Yesterday: 2, Today: 3, Complete: true})
	})
}

// The service is stopped, so nobody but the rebuild mends the count.
func TestARebuildMendsACountOfAnotherTopic(t *testing.T) {
	t.Parallel()
	for name, count := range map[string]int{"longer": 12, "of its length": 5, "shorter": 3, "empty": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			again := func(rebuilt int) func(w world) {
				return func(w world) {
					w.Send(completions(yesterday, "old", 5)...)
					service, stop := w.serve("counters")
					w.expect(service, counts{Total: 5, Yesterday: 5, Complete: true})
					stop()
					w.Recreate()
					if count > 0 {
						w.Send(completions(today, "new", count)...)
					}
					if _, err := w.rebuild("counters", quietly); err != nil {
						w.Fatal(err)
					}
					figures, err := redisstore.New(w.Redis, w.Prefix).Read(w.Context(), nil)
					if err != nil || figures.Total != int64(rebuilt) {
						w.Errorf("after the rebuild: %+v, %v", figures, err)
					}
					want := counts{Total: int64(count), Today: int64(count), Complete: true}
					service, _ = w.serve("counters")
					w.expect(service, want)
					w.Send(completions(today, "more", 1)...)
					w.Eventually("the next", func() bool { got, _ := w.report(service); return got.Total == want.Total+1 })
				}
			}
			everywhere(t, again(count))
			// There the rebuild goes as far as the live count, which then goes on.
			withoutTopicIDs(t, again(min(count, 5)))
		})
	}
}

func TestARebuildCountsWhatIsCommittedAlone(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w world) {
		_, abort := w.Transaction(on(yesterday, "task.completed", "aborted"))
		abort()
		commit, _ := w.Transaction(on(today, "task.completed", "e7"))
		commit()
		_, abort = w.Transaction(on(yesterday, "task.completed", "open"))
		service, _ := w.serve("counters")
		want := counts{Total: 1, Today: 1, Complete: true}
		w.expect(service, want)
		w.falsify(7)
		summary, err := w.rebuild("counters", quietly)
		if err != nil || summary.Swap.Before != 8 || summary.Swap.After != 1 {
			w.Errorf("%+v, %v", summary, err)
		}
		w.expect(service, want)
		abort()
		w.Send(on(today, "task.completed", "e8"))
		w.Eventually("the next", func() bool { got, _ := w.report(service); return got.Total == 2 })
	})
}

func TestARebuildRefusesASecondOne(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w world) {
		w.Send(history...)
		service, _ := w.serve("counters")
		w.expect(service, historyCounts)
		_, err := w.rebuild("counters", func(int64, int64) {
			if _, r := w.report(service); !r.Rebuilding {
				w.Error("the report does not say that a rebuild is under way")
			}
			_, err := w.rebuild("counters", quietly)
			var held *redis.LockedError
			if !errors.As(err, &held) {
				w.Errorf("the second is told %v, want who holds the lock", err)
			}
		})
		if err != nil {
			w.Error(err)
		}
		if _, r := w.report(service); r.Rebuilding {
			w.Error("the report says that a rebuild is under way")
		}
		w.expect(service, historyCounts)
	})
}

// A batch that cannot be decoded is passed by the live count and by the rebuild.
func TestARebuildPassesABatchThatCannotBeDecoded(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w world) {
		w.Send(on(today, "task.completed", "e1"))
		bomb := w.SendTooLarge()
		w.Send(on(today, "task.completed", "e2"))
		service, _ := w.serve("counters")
		w.expect(service, counts{Total: 2, Today: 2, Complete: true})
		w.falsify(7)
		got, err := w.rebuild("counters", quietly)
		if err != nil {
			t.Fatal(err)
		}
		if got.Records != 3 || got.Counted != 2 || got.NotOurs != 1 {
			w.Errorf("summary %+v", got)
		}
		w.expect(service, counts{Total: 2, Today: 2, Complete: true})
		w.sendOn(2+bomb, on(today, "task.completed", "e3"))
		w.expect(service, counts{Total: 3, Today: 3, Complete: true})
		if dead := w.DeadLetters(1); len(dead) != 1 || dead[0].Value != nil || dead[0].Header("original-last-offset") == "" {
			w.Errorf("dead letters %+v", dead)
		}
	})
}
