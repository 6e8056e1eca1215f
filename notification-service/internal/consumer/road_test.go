package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"example.com/todo/notification-service/internal/consumer"
	"example.com/todo/notification-service/internal/notify"
	"example.com/todo/notification-service/internal/redisstore"
	kafkaconsumer "example.com/todo/platform/kafka/consumer"
	"example.com/todo/platform/kafka/kafkatest"
)

// postman is a sender that honours no identity. While broken he claims to have
// died before anything was sent.
type postman struct {
	mu     sync.Mutex
	titles []string
	known  []string
	broken bool
	called bool

	refuses map[string]int // by title, how often
}

func (p *postman) Send(_ context.Context, n notify.Notification) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.called = true
	if p.broken {
		return errors.New("killed")
	}
	if p.refuses[n.Title] > 0 {
		p.refuses[n.Title]--
		return notify.ErrRefused
	}
	p.titles = append(p.titles, n.Title)
	p.known = append(p.known, n.Key)
	return nil
}

func (p *postman) wasCalled() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.called
}

func (p *postman) sent() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.titles...)
}

func (p *postman) keys() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.known...)
}

func (p *postman) has(title string) func() bool {
	return func() bool {
		sent := p.sent()
		return len(sent) > 0 && sent[len(sent)-1] == title
	}
}

// world is the tests' world, in which the service runs.
type world struct{ kafkatest.Env }

func everywhere(t *testing.T, test func(w world)) {
	kafkatest.OnEachBroker(t, func(w kafkatest.Env) { test(world{w}) })
}

func withoutTopicIDs(t *testing.T, test func(w world)) {
	kafkatest.WithoutTopicIDs(t, func(w kafkatest.Env) { test(world{w}) })
}

// serve runs the service as app wires it, with the postman as its sender.
func (w world) serve(group string, p *postman, lease time.Duration) (stop func()) {
	w.Helper()
	return w.Run(group, func(survey kafkatest.Survey) kafkaconsumer.Handler {
		service := notify.NewService(redisstore.NewClaims(w.Redis, w.Prefix, lease, slog.New(slog.DiscardHandler)), p)
		offsets := redisstore.NewOffsets(w.Redis, w.Prefix, slog.New(slog.DiscardHandler))
		return consumer.New(service, offsets, survey, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	})
}

// completed is an event on the wire; without an id it has the older shape.
func completed(id, title string) string {
	if id != "" {
		id = fmt.Sprintf(`"id":%q,`, id)
	}
	return fmt.Sprintf(`{%s"type":"task.completed","task_id":1,"task_title":%q,"timestamp":"2026-01-15T10:00:00Z"}`, id, title)
}

func TestOneEventTwiceNotifiesOnce(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w world) {
		w.Send(
			completed("e1", "first"), completed("e1", "first, copied"),
			`{"id":"e2","type":"task.reopened","task_id":1,"task_title":"reopened","timestamp":"2026-01-15T10:00:01Z"}`,
			completed("e3", "again"),
			completed("", "older shape"), completed("", "older shape, copied"),
			`{"id":"e4","type":"task.archived","task_id":1,"task_title":"unknown","timestamp":"2026-01-15T10:00:01Z"}`,
			completed("e5", "last"),
		)
		p := &postman{}
		w.serve("notifiers", p, time.Minute)
		w.Eventually("the last notification", p.has("last"))
		if diff := cmp.Diff([]string{"first", "again", "older shape", "last"}, p.sent()); diff != "" {
			w.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestCompletedReopenedAndCompletedAgainNotifiesTwice(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w world) {
		const reopened = `{"id":"e2","type":"task.reopened","task_id":1,"task_title":"Learn Go","timestamp":"2026-01-15T10:00:01Z"}`
		p := &postman{}
		w.Send(completed("e1", "Learn Go"), reopened, completed("e3", "Learn Go"))
		stop := w.serve("notifiers", p, time.Minute)
		w.Eventually("two notifications", func() bool { return len(p.sent()) == 2 })
		stop()
		// Again in a batch of its own, and the whole story once more.
		w.Send(completed("e1", "Learn Go"), reopened, completed("e3", "Learn Go"), completed("e4", "last"))
		w.serve("notifiers", p, time.Minute)
		w.Eventually("the last notification", p.has("last"))
		if diff := cmp.Diff([]string{"e1", "e3", "e4"}, p.keys()); diff != "" {
			w.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestWhatIsCommittedAloneNotifies(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w world) {
		_, abort := w.Transaction(completed("e1", "aborted"))
		abort()
		w.Send(completed("e2", "before"))
		commit, _ := w.Transaction(completed("e3", "in a transaction"))
		w.Send(completed("e4", "behind it"))
		p := &postman{}
		w.serve("notifiers", p, time.Minute)
		w.Eventually("what is before the open transaction", p.has("before"))
		commit()
		w.Eventually("what is behind it", p.has("behind it"))
		if diff := cmp.Diff([]string{"before", "in a transaction", "behind it"}, p.sent()); diff != "" {
			w.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestRubbishIsPutAsideAndTheNextNotifies(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w world) {
		w.Send(completed("e1", "before"), `{"type":`, completed("e2", "after"))
		p := &postman{}
		w.serve("notifiers", p, time.Minute)
		w.Eventually("the last notification", p.has("after"))
		if diff := cmp.Diff([]string{"before", "after"}, p.sent()); diff != "" {
			w.Errorf("(-want +got):\n%s", diff)
		}
		dead := w.DeadLetters(1)
		if len(dead) != 1 || string(dead[0].Value) != `{"type":` || string(dead[0].Key) != "task-1" {
			w.Fatalf("dead letters: %v", dead)
		}
		if got := dead[0].Header("consumer-group"); got != w.Group("notifiers") {
			w.Errorf("consumer-group is %q", got)
		}
	})
}

// A quarter of an hour of refusals, some of it before the test.
func TestWhatIsRefusedForTooLongIsPutAsideAndTheNextNotifies(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w world) {
		w.Send(completed("e1", "unwanted"), completed("e2", "wanted"))
		for id, since := range map[string]time.Duration{"e1": 16 * time.Minute, "e2": 14 * time.Minute} {
			past := time.Now().Add(-since).UnixMilli()
			if err := w.Redis.Set(w.Context(), w.Prefix+"notification:refused:task.completed:"+id, past, time.Minute).Err(); err != nil {
				w.Fatal(err)
			}
		}
		if err := w.Redis.Set(w.Context(), w.Prefix+"notification:sent", time.Now().UnixMilli(), 0).Err(); err != nil {
			w.Fatal(err)
		}
		p := &postman{refuses: map[string]int{"unwanted": 1, "wanted": 1}}
		w.serve("notifiers", p, time.Minute)
		w.Eventually("the next notification", p.has("wanted"))
		dead := w.DeadLetters(1)
		if len(dead) != 1 || string(dead[0].Value) != completed("e1", "unwanted") {
			w.Fatalf("dead letters: %v", dead)
		}
		if got := dead[0].Header("error"); !strings.Contains(got, "refused for 15 minutes") {
			w.Errorf("its error is %q", got)
		}
	})
}

// The marks are kept for a day; the offset for ever.
func TestADeliveredRecordIsRecognisedWithoutItsMark(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w world) {
		w.Send(completed("e1", "old"))
		p := &postman{}
		stop := w.serve("notifiers", p, time.Minute)
		w.Eventually("the notification", p.has("old"))
		stop()

		w.Remove("processed:*")
		w.Send(completed("e2", "new"))
		w.serve("without-a-place", p, time.Minute) // a group that lost its offsets begins at the oldest record
		w.Eventually("the new notification", p.has("new"))
		if diff := cmp.Diff([]string{"old", "new"}, p.sent()); diff != "" {
			w.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestAFlushedRedisNotifiesNobodyAgain(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w world) {
		w.Send(completed("e1", "old"))
		p := &postman{}
		stop := w.serve("notifiers", p, time.Minute)
		w.Eventually("the notification", p.has("old"))
		stop()

		w.Remove("*")
		w.Send(completed("e2", "new"))
		w.serve("notifiers", p, time.Minute)
		w.Eventually("the new notification", p.has("new"))
		if diff := cmp.Diff([]string{"old", "new"}, p.sent()); diff != "" {
			w.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestACrashBeforeTheSendingIsMadeGoodAfterTheLease(t *testing.T) {
	t.Parallel()
	const lease = 2 * time.Second
	everywhere(t, func(w world) {
		w.Send(completed("e1", "survivor"))
		dying := &postman{broken: true}
		stop := w.serve("notifiers", dying, lease)
		w.Eventually("the claim", dying.wasCalled)
		stop()
		claimed := time.Now()
		heir := &postman{}
		w.serve("notifiers", heir, lease)
		w.Eventually("the notification", heir.has("survivor"))
		if diff := cmp.Diff([]string{"survivor"}, heir.sent()); diff != "" {
			w.Errorf("(-want +got):\n%s", diff)
		}
		if took := time.Since(claimed); took > 30*time.Second {
			w.Errorf("sent after %v, long after the lease of %v", took, lease)
		}
	})
}
