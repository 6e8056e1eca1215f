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

func TestRelaySendsWhatIsThereAndWhatComes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := start(t, func(w *world) { w.commit(2) })
		w.wantSent(t, w.kafka, 2)

		begin := time.Now()
		w.commit(1)
		w.relay.Wake()
		w.wantSent(t, w.kafka, 3)
		w.wantSent(t, w.live, 3)
		if waited := time.Since(begin); waited != 0 {
			t.Errorf("a commit waited %v", waited)
		}
	})
}

func TestRelayFindsWhatNobodyTellsItOf(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := start(t, func(*world) {})
		w.commit(1)
		<-time.After(time.Second)
		w.wantSent(t, w.kafka, 1)
		w.wantSent(t, w.live, 1)
	})
}

func TestWakeDuringAPassIsNotLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := start(t, func(*world) {})
		goOn := make(chan struct{})
		w.kafka.meets(func(context.Context) error { <-goOn; return nil })
		w.commit(1)
		w.relay.Wake()
		synctest.Wait() // the pass is in hand
		begin := time.Now()
		w.commit(1)
		w.relay.Wake()
		close(goOn)
		w.wantSent(t, w.kafka, 2)
		if waited := time.Since(begin); waited != 0 {
			t.Errorf("the second commit waited %v", waited)
		}
	})
}

func TestRelayRepeatsThePassUntilItIsShort(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		w := start(t, func(w *world) { w.commit(4800) })
		w.wantSent(t, w.kafka, 4800)
		if took := time.Since(begin); took != 0 {
			t.Errorf("it paused for %v in between", took)
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

func TestRelayOutlivesAnOutage(t *testing.T) {
	t.Parallel()
	for name, outage := range map[string]func(w *world, err error){
		"of Kafka":                 func(w *world, err error) { w.kafka.meets(func(context.Context) error { return err }) },
		"of the database":          func(w *world, err error) { w.log.fail(err) },
		"before it ever was there": func(w *world, err error) { w.topic.answer(err) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := start(t, func(w *world) { outage(w, errAway) })
				w.commit(3)
				for range 60 {
					w.relay.Wake()
					<-time.After(time.Second)
				}
				w.wantSent(t, w.kafka, 0)
				if tries := w.kafka.tries; tries > 30 {
					t.Errorf("Kafka was tried %d times in a minute", tries)
				}
				outage(w, nil)
				w.commit(1)
				<-time.After(8 * time.Second) // the longest pause, jittered
				w.wantSent(t, w.kafka, 4)
				w.stop()
				w.wantEnded(t, 0)
				waits, goesOn := strings.Count(w.said.String(), "level=WARN"), strings.Count(w.said.String(), "level=INFO")
				if waits == 0 || waits > 2 || waits != goesOn {
					t.Errorf("each cursor should say once that it waits and once that it goes on, not:\n%s", &w.said)
				}
			})
		})
	}
}

func TestTheLiveFeedGoesOnWithoutKafka(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := start(t, func(w *world) { w.topic.answer(errAway) })
		w.commit(2)
		w.relay.Wake()
		w.wantSent(t, w.live, 2)
		w.wantSent(t, w.kafka, 0)
		if n := strings.Count(w.said.String(), "cursor=kafka"); n != 1 {
			t.Errorf("the waiting cursor should say so once, not:\n%s", &w.said)
		}
	})
}

// Those who read the log need what is committed to have its place there, also when the
// lanes pause, or wait for a replica that froze.
func TestEventsAreNumberedWhileNoLaneGetsThrough(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := start(t, func(w *world) {
			for _, away := range []*fakeSender{w.kafka, w.live} {
				away.meets(func(context.Context) error { return errAway })
			}
			w.commit(1)
		})
		begin := w.log.numbered()
		<-time.After(5 * time.Second)
		if n := w.log.numbered() - begin; n < 4 {
			t.Errorf("in 5 s events were numbered %d times", n)
		}
	})
}

func TestASendThatHangsIsTriedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := start(t, func(w *world) {
			w.kafka.meets(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		})
		w.commit(1)
		w.relay.Wake()
		synctest.Wait()
		w.kafka.meets(nil)
		<-time.After(14 * time.Second) // before the database gives up on the relay
		w.wantSent(t, w.kafka, 1)
	})
}

// A connection that died without a word answers nothing any more; the next one does.
func TestADatabaseThatFellSilentIsAskedAnew(t *testing.T) {
	t.Parallel()
	for when, silence := range map[string]silence{"before a batch": beforeABatch, "after a batch": afterABatch} {
		t.Run(when, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := start(t, func(*world) {})
				w.log.fall(silence)
				w.commit(1)
				w.relay.Wake()
				<-time.After(time.Second) // by now the gauges wait for an answer, too
				w.log.fall(never)
				<-time.After(15 * time.Second)
				for cursor, to := range map[string]*fakeSender{outbox.Kafka: w.kafka, outbox.LiveFeed: w.live} {
					if got := w.log.place(cursor); got != 1 || !slices.Contains(to.sent(), 1) {
						t.Errorf("%s: the cursor is at %d, want 1; sent %v", cursor, got, to.sent())
					}
				}
				w.kafka.meets(func(context.Context) error { return errAway })
				w.commit(1)
				<-time.After(2*time.Second + time.Millisecond)
				if got := w.gauges(t)["todo_outbox_oldest_seconds kafka"]; got != 2 {
					t.Errorf("the oldest event not sent is %v s old, want 2", got)
				}
				if !strings.Contains(w.said.String(), "silent") {
					t.Errorf("the log does not tell why:\n%s", &w.said)
				}
			})
		})
	}
}

func TestALongWaitForABatchTakesNoTimeFromItsSending(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := start(t, func(w *world) {
			w.log.takes = func(int) time.Duration { return 14 * time.Second }
			w.kafka.meets(func(ctx context.Context) error {
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
		if w.kafka.tries != 1 || w.log.place(outbox.Kafka) != 1 {
			t.Errorf("tried %d times and came to %d, want 1 of each", w.kafka.tries, w.log.place(outbox.Kafka))
		}
		w.stop()
		w.wantEnded(t, 3*time.Second)
	})
}

// A batch that can not be sent in its time would never be, were it always the same.
func TestASlowLineGetsShorterBatches(t *testing.T) {
	t.Parallel()
	const most = 300 // entries that get through in time
	late := func(how func(context.Context) error) func(*world) {
		return func(w *world) {
			w.live.refuses(func(ctx context.Context, entries int) error {
				if entries <= most {
					return nil
				}
				return how(ctx)
			})
		}
	}
	for slow, prepare := range map[string]func(*world){
		"to Kafka or Redis": late(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }),
		"for the socket":    late(func(context.Context) error { return &net.OpError{Op: "write", Err: os.ErrDeadlineExceeded} }),
		"from the database": func(w *world) {
			w.log.takes = func(entries int) time.Duration { return time.Duration(entries) * 15 * time.Second / most }
		},
	} {
		t.Run(slow, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := start(t, func(w *world) {
					prepare(w)
					w.commit(1000)
				})
				<-time.After(10 * time.Minute)
				w.wantSent(t, w.live, 1000)

				w.live.refuses(nil)
				w.log.takes = nil
				w.commit(2 * 2000)
				w.relay.Wake()
				w.wantSent(t, w.live, 5000)
				if longest := slices.MaxFunc(w.live.batches, byLength); len(longest) != 2000 {
					t.Errorf("the longest batch has %d entries, want 2000 again", len(longest))
				}
			})
		})
	}
}

func byLength(a, b []int64) int { return len(a) - len(b) }

func TestStoppingFinishesThePassInHand(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := start(t, func(*world) {})
		w.kafka.meets(func(ctx context.Context) error {
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
		w.wantEnded(t, 2*time.Second)
		w.wantSent(t, w.kafka, 2000)
		if w.log.cursors["kafka"] != 2000 {
			t.Errorf("the cursor is at %d, want 2000", w.log.cursors["kafka"])
		}
	})
}

func TestStoppingDoesNotWaitForWhatHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := start(t, func(w *world) {
			w.kafka.meets(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		})
		w.commit(1)
		w.relay.Wake()
		synctest.Wait()
		w.stop()
		w.wantEnded(t, 3*time.Second)
		w.wantSent(t, w.kafka, 0)
	})
}

func TestStoppingEndsAPause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := start(t, func(w *world) { w.log.fail(errAway) })
		<-time.After(time.Minute)
		w.stop()
		w.wantEnded(t, 0)
	})
}

func TestAWrongTopicEndsTheRelay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := start(t, func(w *world) {
			w.commit(1)
			w.topic.answer(errAway, fmt.Errorf("asking: %w", &kafka.TopicError{Topic: "task-events", Want: 6, Have: 3}))
		})
		var topic *kafka.TopicError
		if err := <-w.done; !errors.As(err, &topic) || topic.Have != 3 {
			t.Errorf("got %v, want the topic's error", err)
		}
		w.wantSent(t, w.kafka, 0)
	})
}

func TestMetricsSayHowFarBehindTheRelayIs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := start(t, func(w *world) {
			w.kafka.meets(func(context.Context) error { return errAway })
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

func (w *world) gauges(t *testing.T) map[string]float64 {
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
