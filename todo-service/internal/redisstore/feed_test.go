package redisstore_test

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/todo/platform/testenv"
	"example.com/todo/platform/testenv/netproxy"
	"example.com/todo/todo-service/internal/redisstore"
	"example.com/todo/todo-service/internal/task"
)

// subscription is a running Subscribe and its calls.
type subscription struct {
	events chan task.Announcement
	gaps   chan struct{}
	ended  chan error
	cancel context.CancelFunc
}

func subscribe(t *testing.T, feed *redisstore.Feed) *subscription {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	l := &subscription{
		events: make(chan task.Announcement, 1_000),
		gaps:   make(chan struct{}, 1_000),
		ended:  make(chan error, 1),
		cancel: cancel,
	}
	go func() {
		l.ended <- feed.Subscribe(ctx,
			func() { l.gaps <- struct{}{} },
			func(a task.Announcement) { l.events <- a })
	}()
	return l
}

// closeSubscriptions makes Redis close this test's subscriptions, and no others.
func closeSubscriptions(t *testing.T, s *testRedis) {
	t.Helper()
	clients, err := s.Do(t.Context(), "CLIENT", "LIST", "TYPE", "pubsub").Text()
	if err != nil {
		t.Fatal(err)
	}
	for client := range strings.Lines(clients) {
		if !strings.Contains(client, " name="+s.prefix+" ") {
			continue
		}
		id := strings.TrimPrefix(strings.Fields(client)[0], "id=")
		if err := s.ClientKillByFilter(t.Context(), "ID", id).Err(); err != nil {
			t.Fatal(err)
		}
	}
}

func receive[T any](t *testing.T, from <-chan T, what string) (got T) {
	t.Helper()
	select {
	case got = <-from:
	case <-time.After(10 * time.Second):
		t.Fatalf("no %s in 10 s", what)
	}
	return got
}

func openFeed(t *testing.T) (*testRedis, *redisstore.Feed, *subscription) {
	t.Helper()
	s := openRedis(t)
	feed := redisstore.NewFeed(s, s.prefix)
	l := subscribe(t, feed)
	receive(t, l.gaps, "subscription")
	return s, feed, l
}

func TestFeedDeliversAnnouncementsInOrder(t *testing.T) {
	t.Parallel()
	_, feed, l := openFeed(t)
	at := time.Date(2026, 1, 15, 10, 0, 0, 123456000, time.UTC)
	batch := []task.Announcement{
		{Log: "ours", Seq: 41, Event: task.Event{ID: "0190", Type: task.Created, At: at, Owner: 7,
			Task: task.Task{ID: 1, Title: `Löwe "<&>"`, Priority: 3, CreatedAt: at, Version: 1}}},
		{Log: "ours", Seq: 42, Event: task.Event{ID: "0191", Type: task.Completed, At: at,
			Task: task.Task{ID: 1, Title: "Learn Go", Done: true, CreatedAt: at, CompletedAt: &at, Version: 2}}},
	}
	if err := feed.Publish(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	got := []task.Announcement{receive(t, l.events, "announcement"), receive(t, l.events, "announcement")}
	if diff := cmp.Diff(batch, got); diff != "" {
		t.Errorf("announcements (-want +got):\n%s", diff)
	}
}

func TestFeedEndsASubscriptionWhenItsContextEnds(t *testing.T) {
	t.Parallel()
	_, _, l := openFeed(t)
	cancelled := time.Now()
	l.cancel()
	if err := receive(t, l.ended, "end"); err != nil {
		t.Errorf("Subscribe returned %v", err)
	}
	if took := time.Since(cancelled); took > 3*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestFeedPingsAnIdleConnectionAndClosesItWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	proxy := testenv.StartProxy(t, testenv.RequireEnv(t, "TEST_REDIS_ADDR"))
	s := open(t, proxy.Addr())
	feed := redisstore.NewFeed(s, s.prefix)
	feed.SetIdleTimeout(time.Second)
	l := subscribe(t, feed)
	receive(t, l.gaps, "subscription")
	select {
	case err := <-l.ended:
		t.Fatalf("a connection that answers was closed: %v", err)
	case <-time.After(3 * time.Second):
	}
	proxy.SetMode(netproxy.DropResponses)
	if err := receive(t, l.ended, "end"); err == nil {
		t.Error("Subscribe returned nil")
	}
}

func TestFeedPublishesTheEventWithItsSeqAndLog(t *testing.T) {
	t.Parallel()
	s := openRedis(t)
	sub := s.Subscribe(t.Context(), s.prefix+"task-events")
	defer sub.Close()
	if _, err := sub.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 1, 15, 10, 0, 0, 0, time.UTC)
	announcement := task.Announcement{Log: "0199", Seq: 5, Event: task.Event{ID: "0190", Type: task.Created, At: at,
		Task: task.Task{ID: 1, Title: "Learn Go", Priority: 1, CreatedAt: at, Version: 1}}}
	if err := redisstore.NewFeed(s, s.prefix).Publish(t.Context(), []task.Announcement{announcement}); err != nil {
		t.Fatal(err)
	}
	message, err := sub.ReceiveMessage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := `{"id":"0190","type":"task.created","task_id":1,"task_title":"Learn Go","timestamp":"2026-01-15T10:00:00Z",` +
		`"task":{"id":1,"title":"Learn Go","priority":1,"done":false,"created_at":"2026-01-15T10:00:00Z","version":1},"seq":5,"log":"0199"}`
	if diff := cmp.Diff(want, message.Payload); diff != "" {
		t.Errorf("payload (-want +got):\n%s", diff)
	}
}

// One round trip for all events would exceed the client's timeouts on a slow network.
func TestFeedPublishesAHundredEventsInOneRoundTrip(t *testing.T) {
	t.Parallel()
	s, feed, l := openFeed(t)
	var batch []task.Announcement
	for seq := range int64(500) {
		batch = append(batch, task.Announcement{Seq: seq + 1, Event: task.Event{ID: strconv.FormatInt(seq, 10), Type: task.Updated,
			At: time.Now(), Task: task.Task{ID: 1, Title: "t", CreatedAt: time.Now(), Version: seq + 1}}})
	}
	before := s.network.roundTrips.Load()
	if err := feed.Publish(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	if trips := s.network.roundTrips.Load() - before; trips != 5 {
		t.Errorf("500 events took %d round trips, want 5", trips)
	}
	for seq := range int64(500) {
		if got := receive(t, l.events, "announcement"); got.Seq != seq+1 {
			t.Fatalf("got event %d, want %d", got.Seq, seq+1)
		}
	}
}

func TestFeedReportsAGapForAMessageThatCannotBeDecoded(t *testing.T) {
	t.Parallel()
	event := `{"id":"0190","type":"task.created","task_id":1,"task_title":"t","timestamp":"2026-01-15T10:00:00Z"`
	state := `,"task":{"id":1,"title":"t","priority":1,"done":false,"created_at":"2026-01-15T10:00:00Z","version":1}`
	for name, payload := range map[string]string{
		"not JSON":         "corrupt",
		"nothing":          "",
		"another shape":    `[1,2]`,
		"no seq":           event + state + `}`,
		"seq of zero":      event + state + `,"seq":0}`,
		"seq not a number": event + state + `,"seq":"5"}`,
		"no task":          event + `,"seq":5}`,
		"no event":         `{"seq":5}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _, l := openFeed(t)
			if err := s.Publish(t.Context(), s.prefix+"task-events", payload).Err(); err != nil {
				t.Fatal(err)
			}
			receive(t, l.gaps, "gap")
			if len(l.events) != 0 {
				t.Errorf("delivered %+v", <-l.events)
			}
		})
	}
}

func TestFeedEndsASubscriptionWhenTheConnectionIsLost(t *testing.T) {
	t.Parallel()
	s, _, l := openFeed(t)
	closeSubscriptions(t, s)
	if err := receive(t, l.ended, "end"); err == nil {
		t.Error("Subscribe returned nil")
	}
}

func TestFeedFailsWithoutRedis(t *testing.T) {
	t.Parallel()
	s := open(t, testenv.FreeAddr(t))
	feed := redisstore.NewFeed(s, s.prefix)
	if err := receive(t, subscribe(t, feed).ended, "end"); err == nil {
		t.Error("Subscribe returned nil")
	}
	at := time.Now()
	one := []task.Announcement{{Seq: 1, Event: task.Event{Type: task.Created, At: at, Task: task.Task{ID: 1, Title: "t", CreatedAt: at, Version: 1}}}}
	if err := feed.Publish(t.Context(), one); err == nil {
		t.Error("Publish returned nil")
	}
}
