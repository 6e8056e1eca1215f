package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/todo/platform/kafka"
	"example.com/todo/todo-service/internal/outbox"
)

func TestRelaySendsOldEventsAtTheStartAndNewOnesWhenWoken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := startRelay(t, func(w *relayFixture) { w.commit(2) })
		w.wantSent(t, w.kafka, 2)

		begin := time.Now()
		w.commit(1)
		w.relay.Wake()
		w.wantSent(t, w.kafka, 3)
		w.wantSent(t, w.live, 3)
		if waited := time.Since(begin); waited != 0 {
			t.Errorf("the event was sent %v after its commit", waited)
		}
	})
}

func TestRelaySendsAnEventWithinASecondWithoutAWakeUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := startRelay(t, func(*relayFixture) {})
		w.commit(1)
		<-time.After(time.Second)
		w.wantSent(t, w.kafka, 1)
		w.wantSent(t, w.live, 1)
	})
}

func TestRelaySendsAnEventWhoseWakeUpCameDuringABatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := startRelay(t, func(*relayFixture) {})
		proceed := make(chan struct{})
		w.kafka.setOnSend(func(context.Context) error { <-proceed; return nil })
		w.commit(1)
		w.relay.Wake()
		synctest.Wait() // the batch is in flight
		begin := time.Now()
		w.commit(1)
		w.relay.Wake()
		close(proceed)
		w.wantSent(t, w.kafka, 2)
		if waited := time.Since(begin); waited != 0 {
			t.Errorf("the second event was sent %v after its commit", waited)
		}
	})
}

func TestRelaySendsBatchesWithoutAPauseUntilOneIsShort(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		w := startRelay(t, func(w *relayFixture) { w.commit(4800) })
		w.wantSent(t, w.kafka, 4800)
		if took := time.Since(begin); took != 0 {
			t.Errorf("the relay paused for %v between batches", took)
		}
		sizes := []int{}
		for _, batch := range w.kafka.batches {
			sizes = append(sizes, len(batch))
		}
		if diff := cmp.Diff([]int{2000, 2000, 800}, sizes); diff != "" {
			t.Errorf("batches (-want +got):\n%s", diff)
		}
	})
}

func TestRelayRetriesWithBackoffUntilAnOutageEnds(t *testing.T) {
	t.Parallel()
	for name, outage := range map[string]func(w *relayFixture, err error){
		"of Kafka":                  func(w *relayFixture, err error) { w.kafka.setOnSend(func(context.Context) error { return err }) },
		"of the database":           func(w *relayFixture, err error) { w.eventLog.setError(err) },
		"of Kafka before the start": func(w *relayFixture, err error) { w.topicCheck.returns(err) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := startRelay(t, func(w *relayFixture) { outage(w, errUnavailable) })
				w.commit(3)
				for range 60 {
					w.relay.Wake()
					<-time.After(time.Second)
				}
				w.wantSent(t, w.kafka, 0)
				if tries := w.kafka.attempts; tries > 30 {
					t.Errorf("%d attempts to send to Kafka in a minute", tries)
				}
				outage(w, nil)
				w.commit(1)
				<-time.After(8 * time.Second) // the longest delay, with jitter
				w.wantSent(t, w.kafka, 4)
				w.stop()
				w.wantStopped(t, 0)
				begins, ends := strings.Count(w.logs.String(), "level=WARN"), strings.Count(w.logs.String(), "level=INFO")
				if begins == 0 || begins > 2 || begins != ends {
					t.Errorf("want one line for the begin and one for the end of the outage of each cursor, got:\n%s", &w.logs)
				}
			})
		})
	}
}

func TestRelayForwardsToTheLiveFeedWhileKafkaIsUnavailable(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := startRelay(t, func(w *relayFixture) { w.topicCheck.returns(errUnavailable) })
		w.commit(2)
		w.relay.Wake()
		w.wantSent(t, w.live, 2)
		w.wantSent(t, w.kafka, 0)
		if n := strings.Count(w.logs.String(), "cursor=kafka"); n != 1 {
			t.Errorf("want one line about the cursor kafka, got:\n%s", &w.logs)
		}
	})
}

// Readers of the event log need the seqs also while both forwarders back off.
func TestRelayAssignsSequencesWhileNoForwarderGetsThrough(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := startRelay(t, func(w *relayFixture) {
			for _, away := range []*fakeSender{w.kafka, w.live} {
				away.setOnSend(func(context.Context) error { return errUnavailable })
			}
			w.commit(1)
		})
		begin := w.eventLog.sequenceCallCount()
		<-time.After(5 * time.Second)
		if n := w.eventLog.sequenceCallCount() - begin; n < 4 {
			t.Errorf("seqs were assigned %d times in 5 s, want at least 4", n)
		}
	})
}

func TestRelayRetriesASendThatHangsBeforeTheDatabaseTimesOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := startRelay(t, func(w *relayFixture) {
			w.kafka.setOnSend(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		})
		w.commit(1)
		w.relay.Wake()
		synctest.Wait()
		w.kafka.setOnSend(nil)
		<-time.After(14 * time.Second) // below the database's timeout of 15 s
		w.wantSent(t, w.kafka, 1)
	})
}

// A dead connection returns no error and never responds; a new connection does.
func TestRelayRetriesWhenTheDatabaseStopsResponding(t *testing.T) {
	t.Parallel()
	for when, silence := range map[string]silencePoint{"before a batch": beforeBatch, "after a batch": afterBatch} {
		t.Run(when, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := startRelay(t, func(*relayFixture) {})
				w.eventLog.setSilence(silence)
				w.commit(1)
				w.relay.Wake()
				<-time.After(time.Second) // the metrics' query waits for a response, too
				w.eventLog.setSilence(never)
				<-time.After(15 * time.Second)
				for cursor, to := range map[string]*fakeSender{outbox.Kafka: w.kafka, outbox.LiveFeed: w.live} {
					if got := w.eventLog.cursor(cursor); got != 1 || !slices.Contains(to.sentSeqs(), 1) {
						t.Errorf("%s: the cursor is at %d, want 1; sent %v", cursor, got, to.sentSeqs())
					}
				}
				w.kafka.setOnSend(func(context.Context) error { return errUnavailable })
				w.commit(1)
				<-time.After(2*time.Second + time.Millisecond)
				if got := w.gauges(t)["todo_outbox_oldest_seconds kafka"]; got != 2 {
					t.Errorf("the oldest unsent event is %v s old, want 2", got)
				}
				if !strings.Contains(w.logs.String(), "did not respond") {
					t.Errorf("the logs do not name the reason:\n%s", &w.logs)
				}
			})
		})
	}
}

func TestRelayGivesSendingItsFullTimeoutAfterASlowRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := startRelay(t, func(w *relayFixture) {
			w.eventLog.readTime = func(int) time.Duration { return 14 * time.Second }
			w.kafka.setOnSend(func(ctx context.Context) error {
				select {
				case <-ctx.Done():
					return ctx.Err()
				case <-time.After(9 * time.Second):
					return nil
				}
			})
			w.commit(1)
		})
		<-time.After(24 * time.Second)
		w.wantSent(t, w.kafka, 1)
		if w.kafka.attempts != 1 || w.eventLog.cursor(outbox.Kafka) != 1 {
			t.Errorf("%d attempts and the cursor at %d, want 1 of each", w.kafka.attempts, w.eventLog.cursor(outbox.Kafka))
		}
		w.stop()
		w.wantStopped(t, 3*time.Second)
	})
}

// A batch that times out would time out for ever if its size stayed the same.
func TestRelayHalvesBatchesThatTimeOutAndGrowsThemAgain(t *testing.T) {
	t.Parallel()
	const fitting = 300 // events that are sent in time
	timeOut := func(how func(context.Context) error) func(*relayFixture) {
		return func(w *relayFixture) {
			w.live.setOnBatchSize(func(ctx context.Context, entries int) error {
				if entries <= fitting {
					return nil
				}
				return how(ctx)
			})
		}
	}
	for connection, prepare := range map[string]func(*relayFixture){
		"to Kafka or Redis": timeOut(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }),
		"of the socket":     timeOut(func(context.Context) error { return &net.OpError{Op: "write", Err: os.ErrDeadlineExceeded} }),
		"from the database": func(w *relayFixture) {
			w.eventLog.readTime = func(entries int) time.Duration { return time.Duration(entries) * 15 * time.Second / fitting }
		},
	} {
		t.Run(connection, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := startRelay(t, func(w *relayFixture) {
					prepare(w)
					w.commit(1000)
				})
				<-time.After(10 * time.Minute)
				w.wantSent(t, w.live, 1000)

				w.live.setOnBatchSize(nil)
				w.eventLog.readTime = nil
				w.commit(2 * 2000)
				w.relay.Wake()
				w.wantSent(t, w.live, 5000)
				if longest := slices.MaxFunc(w.live.batches, compareLength); len(longest) != 2000 {
					t.Errorf("the longest batch has %d events, want 2000 again", len(longest))
				}
			})
		})
	}
}

func compareLength(a, b []int64) int { return len(a) - len(b) }

func TestRelayFinishesTheBatchInFlightWhenItStops(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := startRelay(t, func(*relayFixture) {})
		w.kafka.setOnSend(func(ctx context.Context) error {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(2 * time.Second):
				return nil
			}
		})
		w.commit(4800)
		w.relay.Wake()
		synctest.Wait()
		w.stop()
		w.wantStopped(t, 2*time.Second)
		w.wantSent(t, w.kafka, 2000)
		if w.eventLog.cursors["kafka"] != 2000 {
			t.Errorf("the cursor is at %d, want 2000", w.eventLog.cursors["kafka"])
		}
	})
}

func TestRelayStopsWithinTheDrainTimeoutWhenASendHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := startRelay(t, func(w *relayFixture) {
			w.kafka.setOnSend(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		})
		w.commit(1)
		w.relay.Wake()
		synctest.Wait()
		w.stop()
		w.wantStopped(t, 3*time.Second)
		w.wantSent(t, w.kafka, 0)
	})
}

func TestRelayStopsAtOnceDuringABackoff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := startRelay(t, func(w *relayFixture) { w.eventLog.setError(errUnavailable) })
		<-time.After(time.Minute)
		w.stop()
		w.wantStopped(t, 0)
	})
}

func TestRelayReturnsTheErrorOfATopicWithOtherPartitions(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := startRelay(t, func(w *relayFixture) {
			w.commit(1)
			w.topicCheck.returns(errUnavailable, &kafka.TopicError{Topic: "task-events", Want: 6}, fmt.Errorf("checking: %w", &kafka.TopicError{Topic: "task-events", Want: 6, Have: 3}))
		})
		var topic *kafka.TopicError
		if err := <-w.done; !errors.As(err, &topic) || topic.Have != 3 {
			t.Errorf("got %v, want the topic's error", err)
		}
		w.wantSent(t, w.kafka, 0)
	})
}

func TestRelayMetricsShowTheBacklogOfEachCursor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := startRelay(t, func(w *relayFixture) {
			w.kafka.setOnSend(func(context.Context) error { return errUnavailable })
			w.commit(3)
		})
		<-time.After(30*time.Second + time.Millisecond)
		want := map[string]float64{
			"todo_outbox_backlog_events kafka": 3, "todo_outbox_backlog_events live": 0,
			"todo_outbox_oldest_seconds kafka": 30, "todo_outbox_oldest_seconds live": 0,
		}
		if diff := cmp.Diff(want, w.gauges(t)); diff != "" {
			t.Errorf("metrics (-want +got):\n%s", diff)
		}
	})
}

func (w *relayFixture) gauges(t *testing.T) map[string]float64 {
	t.Helper()
	families, err := w.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, family := range families {
		for _, m := range family.Metric {
			values[family.GetName()+" "+m.Label[0].GetValue()] = m.Gauge.GetValue()
		}
	}
	return values
}
