package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"example.com/todo/scripts/test/topictest"
)

func TestCompletedTaskIsNotifiedAndCounted(t *testing.T) {
	kafka := kafkaClient(t)
	before := settled(t, kafka)
	from := topictest.EndOffsets(t, kafka, topic)

	learn := create(t, "Learn Go")
	done := complete(t, learn.ID)
	if !done.Done || done.CompletedAt == nil || done.Version != 2 || done.ID != learn.ID {
		t.Fatalf("completed: %+v", done)
	}

	eventually(t, 10*time.Second, func() error {
		if !strings.Contains(system.log(t, "notification-service"), "Notification: Task 'Learn Go' has been completed!") {
			return fmt.Errorf("no notification yet")
		}
		return nil
	})
	eventually(t, 10*time.Second, func() error {
		if s := stats(t); s.CompletedTotal != before.CompletedTotal+1 || s.CompletedToday != before.CompletedToday+1 {
			return fmt.Errorf("not counted yet: %+v after %+v", s, before)
		}
		return nil
	})

	today := time.Now().UTC().Format(time.DateOnly)
	cache := redisClient(t)
	for _, key := range []string{"stats:tasks:completed", "stats:tasks:" + today} {
		if n, err := cache.Get(t.Context(), key).Int64(); err != nil || n < 1 {
			t.Errorf("redis %s = %d, %v", key, n, err)
		}
	}

	key := fmt.Sprintf("task-%d", learn.ID)
	records := readUntil(t, kafka, topic, from, 2, withKey(key))
	for i, kind := range []string{"task.created", "task.completed"} {
		record := records[i]
		var event struct {
			ID        string    `json:"id"`
			Type      string    `json:"type"`
			UserID    int64     `json:"user_id"`
			TaskID    int64     `json:"task_id"`
			TaskTitle string    `json:"task_title"`
			Timestamp time.Time `json:"timestamp"`
			Task      taskJSON  `json:"task"`
		}
		if err := json.Unmarshal(record.Value, &event); err != nil {
			t.Fatalf("%v in %s", err, record.Value)
		}
		if event.Type != kind || event.UserID != system.user(t).id || event.TaskID != learn.ID || event.TaskTitle != "Learn Go" || event.Task.Version != int64(i+1) {
			t.Errorf("event %d: %s", i, record.Value)
		}
		if headerOf(record, "event-type") != kind || headerOf(record, "service") != "todo-service" || headerOf(record, "event-id") != event.ID {
			t.Errorf("headers of event %d: %s, %s, %s", i, headerOf(record, "event-type"), headerOf(record, "service"), headerOf(record, "event-id"))
		}
		if trace := headerOf(record, "traceparent"); !regexp.MustCompile(`^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$`).MatchString(trace) {
			t.Errorf("traceparent of event %d: %q", i, trace)
		}
	}

	if again := complete(t, learn.ID); again.Version != 2 {
		t.Errorf("completing a done task made version %d", again.Version)
	}
}

func TestSecondListIsServedFromTheCacheAlone(t *testing.T) {
	announced := subscribeFeed(t)
	announced(create(t, "Cached").ID) // the last invalidation of the list has happened
	hits := func() float64 { return system.counter(t, "TODO_OPS_ADDR", "cache_hits_total") }
	miss := call(t, http.MethodGet, "/tasks", "")
	if status := miss.header.Get("Cache-Status"); !strings.Contains(status, "fwd=miss") {
		t.Errorf("the first list: Cache-Status %q", status)
	}

	before := hits()
	unlock := lockTasks(t)
	hit := call(t, http.MethodGet, "/tasks", "")
	unlock()
	if status := hit.header.Get("Cache-Status"); hit.status != http.StatusOK || !strings.Contains(status, "hit") {
		t.Errorf("with the table locked: status %d, Cache-Status %q", hit.status, status)
	}
	if !bytes.Equal(hit.body, miss.body) {
		t.Errorf("hit and miss differ:\n%s\n%s", hit.body, miss.body)
	}
	if after := hits(); after != before+1 {
		t.Errorf("cache_hits_total went from %g to %g", before, after)
	}

	cache, key := redisClient(t), system.user(t).listKey()
	if body, err := cache.Get(t.Context(), key).Bytes(); err != nil || !bytes.Equal(body, hit.body) {
		t.Errorf("redis %s = %s, %v; answered %s", key, body, err, hit.body)
	}
	if ttl, err := cache.TTL(t.Context(), key).Result(); err != nil || ttl <= 0 || ttl > 300*time.Second {
		t.Errorf("redis ttl %s = %v, %v", key, ttl, err)
	}
}

// subscribeFeed subscribes to the live feed. awaitCreated waits for the creation of a task.
func subscribeFeed(t *testing.T) (awaitCreated func(id int64)) {
	t.Helper()
	subscription := redisClient(t).Subscribe(t.Context(), "task-events")
	t.Cleanup(func() { _ = subscription.Close() })
	if _, err := subscription.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	return func(id int64) {
		t.Helper()
		for {
			select {
			case message := <-subscription.Channel():
				if strings.Contains(message.Payload, fmt.Sprintf(`"type":"task.created","task_id":%d,`, id)) {
					return
				}
			case <-time.After(10 * time.Second):
				t.Fatalf("no message about task %d on the live feed", id)
			}
		}
	}
}

func TestClientReadsItsOwnWriteFromTheList(t *testing.T) {
	for i := range 20 {
		title := fmt.Sprintf("Own write %d", i)
		create(t, title)
		if list := call(t, http.MethodGet, "/tasks", ""); !bytes.Contains(list.body, []byte(title)) {
			t.Fatalf("the list lacks %q; Cache-Status: %s", title, list.header.Get("Cache-Status"))
		}
	}
}
