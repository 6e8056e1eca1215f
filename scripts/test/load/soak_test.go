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

	"github.com/IBM/sarama"
)

// words are what titles are made of and searched for.
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

// Tasks are created and completed, 64 at a time, by clients of which some hang up
// in the middle; others search meanwhile. Nobody meets an error of the server's,
// everything that was committed is announced, and the memory in use is the same
// in the end as it was early on.
func TestASoakLeavesNothingUnannouncedAndNoMemoryBehind(t *testing.T) {
	pairs, parallel := int64(6_000), 64
	if *long {
		pairs = 50_000
	}
	w := newWorld(t)
	from := ends(t, w.kafka)
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
	warm := max(pairs/10, 2_000) // a busy process lets more garbage gather than one that was just begun
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
	await(t, time.Minute, "the work of those who left is done", func() bool { return r.metric(t, "todo_gate_in_flight") == 0 })
	await(t, 2*time.Minute, "everything is sent", func() bool { return unsent(t, w) == 0 })
	wantAnnounced(t, w, from)
}

// pair creates a task and completes it, and now and then searches, or gives a
// request up before it can have been answered.
func pair(ctx context.Context, users *client) (left int64, err error) {
	if rand.IntN(10) == 0 {
		left++
		giveUp(ctx, func(ctx context.Context) { _, _ = users.create(ctx, phrase()) })
	}
	id, err := users.create(ctx, phrase())
	if err != nil {
		return left, err
	}
	if rand.IntN(10) == 0 {
		left++
		giveUp(ctx, func(ctx context.Context) { _ = users.complete(ctx, id) })
	}
	if rand.IntN(20) == 0 {
		if err := users.list(ctx, url.Values{"q": {phrase()}, "limit": {"50"}}); err != nil {
			return left, err
		}
	}
	return left, users.complete(ctx, id)
}

func giveUp(ctx context.Context, ask func(context.Context)) {
	ctx, cancel := context.WithTimeout(ctx, rand.N(10*time.Millisecond))
	defer cancel()
	ask(ctx)
}

// memoryAround is the mean of the memory that is in use while the work goes from
// one place to another.
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

// unsent is how many committed changes the relay has yet to send.
func unsent(t *testing.T, w *world) (n int) {
	t.Helper()
	err := w.db.QueryRow(`SELECT count(*) FROM events, stream WHERE seq IS NULL OR seq > kafka_seq`).Scan(&n)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// wantAnnounced compares what is committed with what is in the topic.
func wantAnnounced(t *testing.T, w *world, from map[int32]int64) {
	t.Helper()
	announced := map[string]bool{}
	for _, record := range read(t, w.kafka, from) {
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

// ends are the places behind the last record of each partition.
func ends(t *testing.T, client sarama.Client) map[int32]int64 {
	t.Helper()
	ends := map[int32]int64{}
	for p := range int32(partitions) {
		end, err := client.GetOffset(topic, p, sarama.OffsetNewest)
		if err != nil {
			t.Fatal(err)
		}
		ends[p] = end
	}
	return ends
}

// read returns the records behind the given places, up to the topic's end now.
func read(t *testing.T, client sarama.Client, from map[int32]int64) (records []*sarama.ConsumerMessage) {
	t.Helper()
	consumer, err := sarama.NewConsumerFromClient(client)
	if err != nil {
		t.Fatal(err)
	}
	defer consumer.Close()
	for p, end := range ends(t, client) {
		if from[p] >= end {
			continue
		}
		claim, err := consumer.ConsumePartition(topic, p, from[p])
		if err != nil {
			t.Fatal(err)
		}
		for next := from[p]; next < end; {
			select {
			case record := <-claim.Messages():
				records = append(records, record)
				next = record.Offset + 1
			case <-time.After(10 * time.Second):
				t.Fatalf("%s/%d: no record at %d", topic, p, next)
			}
		}
		_ = claim.Close()
	}
	return records
}
