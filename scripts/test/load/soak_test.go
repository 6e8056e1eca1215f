package load

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.com/todo/scripts/test/topictest"
)

// words are the vocabulary of titles and searches.
var words = []string{
	"learn", "Go", "50%", "snake_case", `back\slash`, "'quoted'", `"doubly"`, "Straße", "日本語", "🙂", "a+b&c=d",
	"semi;colon", "-- comment", "%_%", "<b>", "tab", "ﬀ", "e\u0301", "null", "İstanbul",
}

func phrase() string {
	text := words[rand.IntN(len(words))]
	for range rand.IntN(4) {
		text += " " + words[rand.IntN(len(words))]
	}
	return text
}

// 64 clients create and complete tasks, cancel some requests, and search. No request may get a server error,
// every committed change must be announced, and the memory in use must not grow.
func TestSoakAnnouncesEveryChangeAndLeaksNoMemory(t *testing.T) {
	pairs, parallel := int64(6_000), 64
	if *long {
		pairs = 50_000
	}
	w := newFixture(t)
	from := topictest.EndOffsets(t, w.kafka, topic)
	r := w.replica(t)
	r.start(t)
	users := newClient(t, r.http)

	var begun, hungUp atomic.Int64
	failures := make(chan error, 100)
	var workers sync.WaitGroup
	for range parallel {
		workers.Go(func() {
			for begun.Add(1) <= pairs {
				left, err := pair(t.Context(), users)
				hungUp.Add(left)
				if err != nil {
					select {
					case failures <- err:
					default:
					}
				}
			}
		})
	}
	warm := max(pairs/10, 2_000) // under load the garbage collector lets the heap grow more than after a start
	early := memoryAround(t, r, &begun, warm, warm+pairs/10)
	late := memoryAround(t, r, &begun, pairs*9/10, pairs)
	workers.Wait()
	close(failures)
	for err := range failures {
		t.Error(err)
	}
	if n := r.metric(t, `http_requests_total{code="5`); n > 0 {
		t.Errorf("%g requests were answered with 5xx", n)
	}
	t.Logf("%d tasks created and completed, %d requests given up; memory in use early %.0f MB, late %.0f MB",
		pairs, hungUp.Load(), early/1e6, late/1e6)
	if late > 1.25*early+8e6 {
		t.Errorf("the memory in use grew from %.0f MB to %.0f MB", early/1e6, late/1e6)
	}
	await(t, time.Minute, "the canceled requests are done", func() bool { return r.metric(t, "todo_admission_in_flight") == 0 })
	await(t, 2*time.Minute, "everything is sent", func() bool { return unsent(t, w) == 0 })
	checkAnnounced(t, w, from)
}

// pair creates and completes a task. Sometimes it searches, or cancels a request early.
func pair(ctx context.Context, users *client) (left int64, err error) {
	if rand.IntN(10) == 0 {
		left++
		cancelEarly(ctx, func(ctx context.Context) { _, _ = users.create(ctx, phrase()) })
	}
	id, err := users.create(ctx, phrase())
	if err != nil {
		return left, err
	}
	if rand.IntN(10) == 0 {
		left++
		cancelEarly(ctx, func(ctx context.Context) { _ = users.complete(ctx, id) })
	}
	if rand.IntN(20) == 0 {
		if err := users.list(ctx, url.Values{"q": {phrase()}, "limit": {"50"}}); err != nil {
			return left, err
		}
	}
	return left, users.complete(ctx, id)
}

func cancelEarly(ctx context.Context, send func(context.Context)) {
	ctx, cancel := context.WithTimeout(ctx, rand.N(10*time.Millisecond))
	defer cancel()
	send(ctx)
}

// memoryAround returns the mean memory in use while the progress goes from one number to another.
func memoryAround(t *testing.T, r *replica, at *atomic.Int64, from, to int64) float64 {
	t.Helper()
	await(t, 30*time.Minute, "the work to come so far", func() bool { return at.Load() >= from })
	sum, n := 0.0, 0.0
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for at.Load() < to || n == 0 {
		sum, n = sum+r.metric(t, "process_resident_memory_bytes"), n+1
		<-tick.C
	}
	return sum / n
}

// unsent returns the number of committed changes that the relay has not sent.
func unsent(t *testing.T, w *fixture) (n int) {
	t.Helper()
	err := w.db.QueryRow(`SELECT count(*) FROM events, stream WHERE seq IS NULL OR seq > kafka_seq`).Scan(&n)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// checkAnnounced compares the committed changes with the records of the topic.
func checkAnnounced(t *testing.T, w *fixture, from map[int32]int64) {
	t.Helper()
	announced := map[string]bool{}
	for _, record := range topictest.Read(t, w.kafka, topic, from) {
		for _, header := range record.Headers {
			if string(header.Key) == "event-id" {
				announced[string(header.Value)] = true
			}
		}
	}
	rows, err := w.db.Query(`SELECT id, type, task_id FROM events`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	committed, missing := 0, []error{}
	for rows.Next() {
		var id, kind string
		var task int64
		if err := rows.Scan(&id, &kind, &task); err != nil {
			t.Fatal(err)
		}
		committed++
		if !announced[id] {
			missing = append(missing, fmt.Errorf("%s of task %d", kind, task))
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	if len(missing) > 0 {
		t.Errorf("%d of %d committed changes were not announced: %v", len(missing), committed, errors.Join(missing[:min(5, len(missing))]...))
	}
	t.Logf("%d changes committed and announced", committed-len(missing))
}
