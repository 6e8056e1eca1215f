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

// listener is one subscription and what it heard.
type listener struct {
	heard  chan task.Announcement
	doubts chan struct{}
	ended  chan error
	leave  context.CancelFunc
}

func listen(t *testing.T, feed *redisstore.Feed) *listener {
	t.Helper()
	ctx, leave := context.WithCancel(t.Context())
	l := &listener{
		heard:  make(chan task.Announcement, 1_000),
		doubts: make(chan struct{}, 1_000),
		ended:  make(chan error, 1),
		leave:  leave,
	}
	go func() {
		l.ended <- feed.Subscribe(ctx,
			func() { l.doubts <- struct{}{} },
			func(a task.Announcement) { l.heard <- a })
	}()
	return l
}

// dropSubscriptions makes Redis close this test's subscriptions, and no others.
func dropSubscriptions(t *testing.T, s *server) {
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

func openFeed(t *testing.T) (*server, *redisstore.Feed, *listener) {
	t.Helper()
	s := openRedis(t)
	feed := redisstore.NewFeed(s, s.prefix)
	l := listen(t, feed)
	receive(t, l.doubts, "subscription")
	return s, feed, l
}

func TestWhatIsPublishedIsHeardInOrder(t *testing.T) {
	t.Parallel()
	_, feed, l := openFeed(t)
	at := time.Date(2026, 1, 15, 10, 0, 0, 123456000, time.UTC)
	user := int64(7)
	batch := []task.Announcement{
		{Log: "ours", Seq: 41, Event: task.Event{ID: "0190", Type: task.Created, At: at, UserID: &user,
			Task: task.Task{ID: 1, Title: `Löwe "<&>"`, Priority: 3, CreatedAt: at, Version: 1}}},
		{Log: "ours", Seq: 42, Event: task.Event{ID: "0191", Type: task.Completed, At: at,
			Task: task.Task{ID: 1, Title: "Learn Go", Done: true, CreatedAt: at, CompletedAt: &at, Version: 2}}},
	}
	if err := feed.Publish(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	got := []task.Announcement{receive(t, l.heard, "announcement"), receive(t, l.heard, "announcement")}
	if diff := cmp.Diff(batch, got); diff != "" {
		t.Errorf("announcements (-want +got):\n%s", diff)
	}
}

func TestLeavingEndsTheSubscriptionAtOnce(t *testing.T) {
	t.Parallel()
	_, _, l := openFeed(t)
	left := time.Now()
	l.leave()
	if err := receive(t, l.ended, "end"); err != nil {
		t.Errorf("Subscribe returned %v", err)
	}
	if took := time.Since(left); took > 3*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestASilentConnectionIsAskedAndGivenUpWhenItDoesNotAnswer(t *testing.T) {
	t.Parallel()
	proxy := testenv.StartProxy(t, testenv.RequireEnv(t, "TEST_REDIS_ADDR"))
	s := open(t, proxy.Addr())
	feed := redisstore.NewFeed(s, s.prefix)
	feed.Suspect(100 * time.Millisecond)
	l := listen(t, feed)
	receive(t, l.doubts, "subscription")
	select {
	case err := <-l.ended:
		t.Fatalf("a connection that answers was given up: %v", err)
	case <-time.After(500 * time.Millisecond):
	}
	proxy.SetMode(netproxy.DropResponses)
	if err := receive(t, l.ended, "end"); err == nil {
		t.Error("Subscribe returned nil")
	}
}

func TestAMessageIsTheEventWithItsPlace(t *testing.T) {
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

// One round trip for all would not fit into the client's timeouts over a slow line,
// however often it is tried.
func TestAHundredChangesAreOneRoundTrip(t *testing.T) {
	t.Parallel()
	s, feed, l := openFeed(t)
	var batch []task.Announcement
	for seq := range int64(500) {
		batch = append(batch, task.Announcement{Seq: seq + 1, Event: task.Event{ID: strconv.FormatInt(seq, 10), Type: task.Updated,
			At: time.Now(), Task: task.Task{ID: 1, Title: "t", CreatedAt: time.Now(), Version: seq + 1}}})
	}
	before := s.wire.trips.Load()
	if err := feed.Publish(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	if trips := s.wire.trips.Load() - before; trips != 5 {
		t.Errorf("500 changes took %d round trips, want 5", trips)
	}
	for seq := range int64(500) {
		if got := receive(t, l.heard, "announcement"); got.Seq != seq+1 {
			t.Fatalf("heard %d, want %d", got.Seq, seq+1)
		}
	}
}

func TestWhatCanNotBeReadRaisesDoubt(t *testing.T) {
	t.Parallel()
	event := `{"id":"0190","type":"task.created","task_id":1,"task_title":"t","timestamp":"2026-01-15T10:00:00Z"`
	state := `,"task":{"id":1,"title":"t","priority":1,"done":false,"created_at":"2026-01-15T10:00:00Z","version":1}`
	for name, payload := range map[string]string{
		"rubbish":          "rubbish",
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
			receive(t, l.doubts, "doubt")
			if len(l.heard) != 0 {
				t.Errorf("delivered %+v", <-l.heard)
			}
		})
	}
}

func TestALostConnectionEndsTheSubscription(t *testing.T) {
	t.Parallel()
	s, _, l := openFeed(t)
	dropSubscriptions(t, s)
	if err := receive(t, l.ended, "end"); err == nil {
		t.Error("Subscribe returned nil")
	}
}

func TestWithoutRedisSubscribingAndPublishingFail(t *testing.T) {
	t.Parallel()
	s := open(t, testenv.FreeAddr(t))
	feed := redisstore.NewFeed(s, s.prefix)
	if err := receive(t, listen(t, feed).ended, "end"); err == nil {
		t.Error("Subscribe returned nil")
	}
	at := time.Now()
	one := []task.Announcement{{Seq: 1, Event: task.Event{Type: task.Created, At: at, Task: task.Task{ID: 1, Title: "t", CreatedAt: at, Version: 1}}}}
	if err := feed.Publish(t.Context(), one); err == nil {
		t.Error("Publish returned nil")
	}
}
