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

// fakeSender records what was sent and does not deduplicate. While broken it fails
// before it sends.
type fakeSender struct {
	mu       sync.Mutex
	titles   []string
	sentKeys []string
	broken   bool
	called   bool

	rejections map[string]int // by title, the remaining number
}

func (s *fakeSender) Send(_ context.Context, n notify.Notification) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.called = true
	if s.broken {
		return errors.New("killed")
	}
	if s.rejections[n.Title] > 0 {
		s.rejections[n.Title]--
		return notify.ErrRejected
	}
	s.titles = append(s.titles, n.Title)
	s.sentKeys = append(s.sentKeys, n.IdempotencyKey)
	return nil
}

func (s *fakeSender) wasCalled() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.called
}

func (s *fakeSender) sent() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.titles...)
}

func (s *fakeSender) keys() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.sentKeys...)
}

func (s *fakeSender) has(title string) func() bool {
	return func() bool {
		sent := s.sent()
		return len(sent) > 0 && sent[len(sent)-1] == title
	}
}

// serviceEnv runs the service on a broker and a Redis prefix of its own.
type serviceEnv struct{ kafkatest.Env }

func onEachBroker(t *testing.T, test func(env serviceEnv)) {
	kafkatest.OnEachBroker(t, func(env kafkatest.Env) { test(serviceEnv{env}) })
}

func withoutTopicIDs(t *testing.T, test func(env serviceEnv)) {
	kafkatest.WithoutTopicIDs(t, func(env kafkatest.Env) { test(serviceEnv{env}) })
}

// serve runs the service as app wires it, with a fake sender.
func (env serviceEnv) serve(group string, sender *fakeSender, lease time.Duration) (stop func()) {
	env.Helper()
	return env.Run(group, func(logEnds kafkatest.LogEndOffsets) kafkaconsumer.Handler {
		service := notify.NewService(redisstore.NewClaimStore(env.Redis, env.Prefix, lease, slog.New(slog.DiscardHandler)), sender)
		offsets := redisstore.NewOffsets(env.Redis, env.Prefix, slog.New(slog.DiscardHandler))
		return consumer.New(service, offsets, logEnds, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	})
}

// completed is an event on the wire; without an id it has the older shape.
func completed(id, title string) string {
	if id != "" {
		id = fmt.Sprintf(`"id":%q,`, id)
	}
	return fmt.Sprintf(`{%s"type":"task.completed","task_id":1,"task_title":%q,"timestamp":"2026-01-15T10:00:00Z"}`, id, title)
}

func TestCopiedEventNotifiesOnce(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(env serviceEnv) {
		env.Send(
			completed("e1", "first"), completed("e1", "first, copied"),
			`{"id":"e2","type":"task.reopened","task_id":1,"task_title":"reopened","timestamp":"2026-01-15T10:00:01Z"}`,
			completed("e3", "again"),
			completed("", "older shape"), completed("", "older shape, copied"),
			`{"id":"e4","type":"task.archived","task_id":1,"task_title":"unknown","timestamp":"2026-01-15T10:00:01Z"}`,
			completed("e5", "last"),
		)
		sender := &fakeSender{}
		env.serve("notifiers", sender, time.Minute)
		env.Eventually("the last notification", sender.has("last"))
		if diff := cmp.Diff([]string{"first", "again", "older shape", "last"}, sender.sent()); diff != "" {
			env.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestCompletedReopenedAndCompletedAgainNotifiesTwice(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(env serviceEnv) {
		const reopened = `{"id":"e2","type":"task.reopened","task_id":1,"task_title":"Learn Go","timestamp":"2026-01-15T10:00:01Z"}`
		sender := &fakeSender{}
		env.Send(completed("e1", "Learn Go"), reopened, completed("e3", "Learn Go"))
		stop := env.serve("notifiers", sender, time.Minute)
		env.Eventually("two notifications", func() bool { return len(sender.sent()) == 2 })
		stop()
		// The same events again and another one, in a batch of their own.
		env.Send(completed("e1", "Learn Go"), reopened, completed("e3", "Learn Go"), completed("e4", "last"))
		env.serve("notifiers", sender, time.Minute)
		env.Eventually("the last notification", sender.has("last"))
		if diff := cmp.Diff([]string{"e1", "e3", "e4"}, sender.keys()); diff != "" {
			env.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestOnlyCommittedRecordsNotify(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(env serviceEnv) {
		_, abort := env.Transaction(completed("e1", "aborted"))
		abort()
		env.Send(completed("e2", "before"))
		commit, _ := env.Transaction(completed("e3", "in a transaction"))
		env.Send(completed("e4", "behind it"))
		sender := &fakeSender{}
		env.serve("notifiers", sender, time.Minute)
		env.Eventually("the record before the open transaction", sender.has("before"))
		commit()
		env.Eventually("the record behind it", sender.has("behind it"))
		if diff := cmp.Diff([]string{"before", "in a transaction", "behind it"}, sender.sent()); diff != "" {
			env.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestUndecodableRecordIsDeadLetteredAndTheNextNotifies(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(env serviceEnv) {
		env.Send(completed("e1", "before"), `{"type":`, completed("e2", "after"))
		sender := &fakeSender{}
		env.serve("notifiers", sender, time.Minute)
		env.Eventually("the last notification", sender.has("after"))
		if diff := cmp.Diff([]string{"before", "after"}, sender.sent()); diff != "" {
			env.Errorf("(-want +got):\n%s", diff)
		}
		dead := env.DeadLetters(1)
		if len(dead) != 1 || string(dead[0].Value) != `{"type":` || string(dead[0].Key) != "task-1" {
			env.Fatalf("dead letters: %v", dead)
		}
		if got := dead[0].Header("consumer-group"); got != env.Group("notifiers") {
			env.Errorf("consumer-group is %q", got)
		}
	})
}

// The 15 minutes of rejections began before the test.
func TestNotificationRejectedForTooLongIsDeadLetteredAndTheNextIsSent(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(env serviceEnv) {
		env.Send(completed("e1", "unwanted"), completed("e2", "wanted"))
		for id, since := range map[string]time.Duration{"e1": 16 * time.Minute, "e2": 14 * time.Minute} {
			past := time.Now().Add(-since).UnixMilli()
			if err := env.Redis.Set(env.Context(), env.Prefix+"notification:refused:task.completed:"+id, past, time.Minute).Err(); err != nil {
				env.Fatal(err)
			}
		}
		if err := env.Redis.Set(env.Context(), env.Prefix+"notification:sent", time.Now().UnixMilli(), 0).Err(); err != nil {
			env.Fatal(err)
		}
		sender := &fakeSender{rejections: map[string]int{"unwanted": 1, "wanted": 1}}
		env.serve("notifiers", sender, time.Minute)
		env.Eventually("the next notification", sender.has("wanted"))
		dead := env.DeadLetters(1)
		if len(dead) != 1 || string(dead[0].Value) != completed("e1", "unwanted") {
			env.Fatalf("dead letters: %v", dead)
		}
		if got := dead[0].Header("error"); !strings.Contains(got, "rejected for 15 minutes") {
			env.Errorf("its error is %q", got)
		}
	})
}

// Dedup keys expire after a day, the offset never.
func TestRedeliveredRecordIsRecognisedWithoutItsDedupKey(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(env serviceEnv) {
		env.Send(completed("e1", "old"))
		sender := &fakeSender{}
		stop := env.serve("notifiers", sender, time.Minute)
		env.Eventually("the notification", sender.has("old"))
		stop()

		env.Remove("processed:*")
		env.Send(completed("e2", "new"))
		env.serve("without-offsets", sender, time.Minute) // a group without offsets starts at the oldest record
		env.Eventually("the new notification", sender.has("new"))
		if diff := cmp.Diff([]string{"old", "new"}, sender.sent()); diff != "" {
			env.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestNothingIsSentAgainAfterAFlushOfRedis(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(env serviceEnv) {
		env.Send(completed("e1", "old"))
		sender := &fakeSender{}
		stop := env.serve("notifiers", sender, time.Minute)
		env.Eventually("the notification", sender.has("old"))
		stop()

		env.Remove("*")
		env.Send(completed("e2", "new"))
		env.serve("notifiers", sender, time.Minute)
		env.Eventually("the new notification", sender.has("new"))
		if diff := cmp.Diff([]string{"old", "new"}, sender.sent()); diff != "" {
			env.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestNotificationIsSentAfterTheLeaseOfACrashedProcess(t *testing.T) {
	t.Parallel()
	const lease = 2 * time.Second
	onEachBroker(t, func(env serviceEnv) {
		env.Send(completed("e1", "survivor"))
		crashing := &fakeSender{broken: true}
		stop := env.serve("notifiers", crashing, lease)
		env.Eventually("the claim", crashing.wasCalled)
		stop()
		claimed := time.Now()
		successor := &fakeSender{}
		env.serve("notifiers", successor, lease)
		env.Eventually("the notification", successor.has("survivor"))
		if diff := cmp.Diff([]string{"survivor"}, successor.sent()); diff != "" {
			env.Errorf("(-want +got):\n%s", diff)
		}
		if took := time.Since(claimed); took > 30*time.Second {
			env.Errorf("sent after %v, long after the lease of %v", took, lease)
		}
	})
}
