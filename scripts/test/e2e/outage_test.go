package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"example.com/todo/scripts/test/topictest"
)

func TestCompletionsDuringANotificationOutageAreNotifiedOnce(t *testing.T) {
	titles := []string{"While away 1", "While away 2", "While away 3"}
	system.stop(t, "notification-service")
	for _, title := range titles {
		complete(t, create(t, title).ID)
	}
	system.start(t, "notification-service")

	client := kafkaClient(t)
	consumed(t, client, "notification-service")
	for _, title := range titles {
		notified(t, title, title)
	}
}

func TestWritesSucceedDuringAKafkaOutageAndArriveInOrder(t *testing.T) {
	client := kafkaClient(t)
	before := settled(t, client)
	first := create(t, "Kafka away 1")
	from := topictest.EndOffsets(t, client, topic)

	system.stop(t, "kafka")
	tasks := []taskJSON{first, create(t, "Kafka away 2"), create(t, "Kafka away 3")}
	for _, task := range tasks {
		a := call(t, http.MethodPatch, fmt.Sprintf("/tasks/%d/done", task.ID), "")
		if a.status != http.StatusOK || a.took > time.Second {
			t.Errorf("completing task %d: %d after %v", task.ID, a.status, a.took)
		}
	}
	decode[taskJSON](t, call(t, http.MethodPatch, fmt.Sprintf("/tasks/%d", first.ID), `{"done":false}`), http.StatusOK)
	complete(t, first.ID)
	system.start(t, "kafka")

	client = kafkaClient(t)
	key := fmt.Sprintf("task-%d", first.ID)
	var kinds []string
	for _, record := range readUntil(t, client, topic, from, 3, func(m *sarama.ConsumerMessage) bool {
		return string(m.Key) == key && headerOf(m, "event-type") != "task.created"
	}) {
		kinds = append(kinds, headerOf(record, "event-type"))
	}
	if got := strings.Join(kinds, " "); got != "task.completed task.reopened task.completed" {
		t.Errorf("the events of one task came as %s", got)
	}
	eventually(t, 30*time.Second, func() error {
		if s := stats(t); s.CompletedTotal != before.CompletedTotal+4 {
			return fmt.Errorf("counted %d, want 4 more than %d", s.CompletedTotal, before.CompletedTotal)
		}
		return nil
	})
	notified(t, "Kafka away 1", "Kafka away 1", "Kafka away 1")
	notified(t, "Kafka away 2", "Kafka away 2")
	notified(t, "Kafka away 3", "Kafka away 3")
}

func TestRequestsSucceedDuringARedisOutageAndTheCacheRecovers(t *testing.T) {
	if secure {
		t.Skip("without Redis there are no sessions; TestSessionsAreRefusedDuringARedisOutageAndValidAfterIt has that")
	}
	before := settled(t, kafkaClient(t))
	task := create(t, "Redis away")
	with := slowest(t, task.ID)

	system.stop(t, "redis")
	without := slowest(t, task.ID)
	if without > with+300*time.Millisecond {
		t.Errorf("the slowest answer took %v without Redis, %v with it", without, with)
	}
	complete(t, task.ID)
	system.start(t, "redis")

	eventually(t, 30*time.Second, func() error {
		call(t, http.MethodGet, "/tasks", "")
		if a := call(t, http.MethodGet, "/tasks", ""); !strings.Contains(a.header.Get("Cache-Status"), "hit") || strings.HasSuffix(a.header.Get("RateLimit"), ";t=0") {
			return fmt.Errorf("Cache-Status %q, RateLimit %q", a.header.Get("Cache-Status"), a.header.Get("RateLimit"))
		}
		return nil
	})
	eventually(t, 30*time.Second, func() error {
		if s := stats(t); s.CompletedTotal != before.CompletedTotal+1 {
			return fmt.Errorf("counted %d after %d", s.CompletedTotal, before.CompletedTotal)
		}
		return nil
	})
	notified(t, "Redis away", "Redis away")
}

func TestRequestsGet503DuringAPostgreSQLOutageAndNothingIsLost(t *testing.T) {
	before := settled(t, kafkaClient(t))
	task := create(t, "PostgreSQL away 1")
	late := create(t, "PostgreSQL away 2")
	complete(t, task.ID) // may be announced only when PostgreSQL is back

	system.stop(t, "postgres")
	for _, ask := range []struct{ method, path, body string }{
		{http.MethodGet, "/tasks?done=false", ""},
		{http.MethodGet, fmt.Sprintf("/tasks/%d", task.ID), ""},
		{http.MethodPost, "/tasks", `{"title":"PostgreSQL away 3"}`},
		{http.MethodPatch, fmt.Sprintf("/tasks/%d/done", late.ID), ""},
	} {
		a := call(t, ask.method, ask.path, ask.body)
		checkProblem(t, a, http.StatusServiceUnavailable, "")
		if after, err := strconv.Atoi(a.header.Get("Retry-After")); err != nil || after < 1 {
			t.Errorf("%s %s: Retry-After %q", ask.method, ask.path, a.header.Get("Retry-After"))
		}
		if a.took > system.refusalLimit() {
			t.Errorf("%s %s was refused after %v", ask.method, ask.path, a.took)
		}
	}
	system.start(t, "postgres")

	eventually(t, 10*time.Second, func() error {
		if a := call(t, http.MethodGet, "/tasks?q=PostgreSQL+away+3", ""); a.status != http.StatusOK || string(bytes.TrimSpace(a.body)) != "[]" {
			return fmt.Errorf("the task that was refused: status %d, %s", a.status, a.body)
		}
		return nil
	})
	complete(t, late.ID)
	notified(t, "PostgreSQL away 1", "PostgreSQL away 1") // two tasks have no order between them
	notified(t, "PostgreSQL away 2", "PostgreSQL away 2")
	if after := settled(t, kafkaClient(t)); after.CompletedTotal != before.CompletedTotal+2 {
		t.Errorf("counted %d after %d", after.CompletedTotal, before.CompletedTotal)
	}
	notified(t, "PostgreSQL away 1", "PostgreSQL away 1")
	notified(t, "PostgreSQL away 2", "PostgreSQL away 2")
}

// slowest sends some requests of every kind and returns the longest duration.
func slowest(t *testing.T, id int64) time.Duration {
	t.Helper()
	var longest time.Duration
	for i := range 5 {
		for _, a := range []answer{
			call(t, http.MethodGet, "/tasks", ""),
			call(t, http.MethodGet, fmt.Sprintf("/tasks/%d", id), ""),
			call(t, http.MethodPost, "/tasks", `{"title":"Timed"}`),
			call(t, http.MethodPatch, fmt.Sprintf("/tasks/%d", id), fmt.Sprintf(`{"priority":%d}`, i)),
		} {
			if a.status >= 300 {
				t.Errorf("status %d: %s", a.status, a.body)
			}
			longest = max(longest, a.took)
		}
	}
	return longest
}
