package pgstore_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jmoiron/sqlx"

	"example.com/todo/platform/apperr"
	"example.com/todo/platform/testenv"
	"example.com/todo/todo-service/internal/pgstore"
	"example.com/todo/todo-service/internal/task"
)

func TestForwardBatchSendsInOrderAndOnce(t *testing.T) {
	t.Parallel()
	s := pgstore.New(migrated(t))
	for _, title := range []string{"one", "two", "three"} {
		must(s.Create(t.Context(), task.NoOwner, newEvent(title), task.IdempotencyKey{}))
	}
	wantBounds(t, s, 0)
	first, second := forwardBatch(t, s, "kafka", 2), forwardBatch(t, s, "kafka", 2)
	wantTitles(t, "the first batch", first, "one", "two")
	wantTitles(t, "the second batch", second, "three")
	wantTitles(t, "a batch of nothing", forwardBatch(t, s, "kafka", 2))
	wantTitles(t, "the other cursor", forwardBatch(t, s, "live", 10), "one", "two", "three")
	wantBounds(t, s, 3)

	for i, a := range slices.Concat(first, second) {
		if a.Seq != int64(i+1) || a.Log != must(s.Bounds(t.Context())).Name {
			t.Errorf("entry %d has seq %d in the log %q", i, a.Seq, a.Log)
		}
		if diff := cmp.Diff(must(s.History(t.Context(), task.NoOwner, a.Event.Task.ID, 0, 2)), []task.Event{a.Event}); diff != "" {
			t.Errorf("entry %d (-history +sent):\n%s", i, diff)
		}
	}
	wantTitles(t, "reading after 1", must(s.After(t.Context(), 1, 1)), "two")
	wantTitles(t, "reading after the end", must(s.After(t.Context(), 3, 10)))
}

func TestForwardBatchRepeatsABatchThatFailed(t *testing.T) {
	t.Parallel()
	s := pgstore.New(migrated(t))
	must(s.Create(t.Context(), task.NoOwner, newEvent("one"), task.IdempotencyKey{}))
	away := errors.New("the broker is away")
	n, err := s.ForwardBatch(t.Context(), "kafka", 10, func(context.Context, []task.Announcement) error { return away })
	if n != 0 || !errors.Is(err, away) {
		t.Errorf("got %d and %v, want 0 and the error of send", n, err)
	}
	must(s.Create(t.Context(), task.NoOwner, newEvent("two"), task.IdempotencyKey{}))
	wantTitles(t, "the next batch", forwardBatch(t, s, "kafka", 10), "one", "two")
}

func TestBacklogCountsEventsBehindACursor(t *testing.T) {
	t.Parallel()
	s := pgstore.New(migrated(t))
	wantBacklog := func(cursor string, want int64, oldest time.Time) {
		t.Helper()
		n, at, err := s.Backlog(t.Context(), cursor)
		if err != nil || n != want || !at.Equal(oldest) {
			t.Errorf("%s: got %d since %v, error %v, want %d since %v", cursor, n, at, err, want, oldest)
		}
	}
	wantBacklog("kafka", 0, time.Time{})
	one, two := newEvent("one"), newEvent("two")
	two.At = one.At.Add(time.Minute)
	must(s.Create(t.Context(), task.NoOwner, one, task.IdempotencyKey{}))
	must(s.Create(t.Context(), task.NoOwner, two, task.IdempotencyKey{}))
	wantBacklog("kafka", 2, one.At) // no event has a seq
	forwardBatch(t, s, "live", 10)
	wantBacklog("kafka", 2, one.At) // all events have one
	wantBacklog("live", 0, time.Time{})
	forwardBatch(t, s, "kafka", 1)
	wantBacklog("kafka", 1, two.At)
}

// A reader of "pos > last" would skip an event that is committed after one with a
// greater pos.
func TestForwardBatchSkipsNoLateCommit(t *testing.T) {
	t.Parallel()
	db := migrated(t)
	s := pgstore.New(db)
	late := db.MustBegin()
	late.MustExec(`INSERT INTO events (id, type, task_id, title, priority, done, created_at, version, at, traceparent)
		VALUES (gen_random_uuid(), 'task.created', 99, 'late', 0, false, now(), 1, now(), '')`)
	must(s.Create(t.Context(), task.NoOwner, newEvent("early"), task.IdempotencyKey{}))
	wantTitles(t, "before the late commit", forwardBatch(t, s, "kafka", 10), "early")
	if err := late.Commit(); err != nil {
		t.Fatal(err)
	}
	wantTitles(t, "after the late commit", forwardBatch(t, s, "kafka", 10), "late")
}

// The database ends the transaction of a frozen relay
// (idle_in_transaction_session_timeout; here by hand). Another relay continues, and
// the first fails when it resumes.
func TestForwardBatchFailsForARelayThatLostItsTransaction(t *testing.T) {
	t.Parallel()
	db := migrated(t)
	s := pgstore.New(db)
	for _, title := range []string{"one", "two", "three"} {
		must(s.Create(t.Context(), task.NoOwner, newEvent(title), task.IdempotencyKey{}))
	}
	var frozen, other []task.Announcement
	_, err := s.ForwardBatch(t.Context(), "kafka", 2, func(_ context.Context, batch []task.Announcement) error {
		frozen = batch
		endIdleTransactions(t, db)
		other = forwardBatch(t, s, "kafka", 3)
		return nil
	})
	if err == nil {
		t.Error("the frozen relay advanced the cursor")
	}
	wantTitles(t, "the frozen relay", frozen, "one", "two")
	wantTitles(t, "the other relay", other, "one", "two", "three")
	must(s.Create(t.Context(), task.NoOwner, newEvent("four"), task.IdempotencyKey{}))
	wantTitles(t, "the next batch", forwardBatch(t, s, "kafka", 10), "four")
}

// A relay may freeze after the server advanced the cursor and before the response. The
// sequencer needs the row meanwhile.
func TestForwardBatchHoldsNoStreamRowWhileItWaitsForTheAdvance(t *testing.T) {
	t.Parallel()
	s, p, db := openBeforeForward(t)
	const advanced = 5 // round trips: begin, lock, number_events, select, advance
	p.intercept(answer, advanced, func(*net.TCPConn) bool {
		if _, err := db.Exec(`SELECT FROM stream FOR UPDATE NOWAIT`); err != nil {
			t.Errorf("the row of the stream: %v", err)
		}
		var at int64
		if err := db.Get(&at, `SELECT head - kafka_seq FROM stream`); err != nil || at != 0 {
			t.Errorf("the cursor is %d behind, error %v", at, err)
		}
		return true
	})
	wantTitles(t, "the batch", forwardBatch(t, s, "kafka", 10), "one")
}

func TestAssignSequenceNeedsNoForwardBatch(t *testing.T) {
	t.Parallel()
	s := pgstore.New(migrated(t))
	for range 3 {
		must(s.Create(t.Context(), task.NoOwner, newEvent("one"), task.IdempotencyKey{}))
	}
	for _, n := range []int{2, 3, 3} {
		if err := s.AssignSequence(t.Context(), 2); err != nil {
			t.Error(err)
		}
		wantBounds(t, s, int64(n))
	}
	wantTitles(t, "the log", must(s.After(t.Context(), 0, 10)), "one", "one", "one")
	wantTitles(t, "a batch", forwardBatch(t, s, "kafka", 10), "one", "one", "one")
}

func TestForwardBatchAdmitsOneRelayPerCursor(t *testing.T) {
	t.Parallel()
	s := pgstore.New(migrated(t))
	must(s.Create(t.Context(), task.NoOwner, newEvent("one"), task.IdempotencyKey{}))
	var live []task.Announcement
	n, err := s.ForwardBatch(t.Context(), "kafka", 10, func(ctx context.Context, _ []task.Announcement) error {
		live = forwardBatch(t, s, "live", 10) // the other cursor is free

		ctx, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
		defer cancel()
		n, err := s.ForwardBatch(ctx, "kafka", 10, func(context.Context, []task.Announcement) error {
			t.Error("a second relay holds the cursor")
			return nil
		})
		if n != 0 || err == nil || apperr.Of(err).Kind != apperr.Unavailable {
			t.Errorf("the waiting relay ended with %d and %v", n, err)
		}
		return nil
	})
	if n != 1 || err != nil {
		t.Errorf("the first relay ended with %d and %v", n, err)
	}
	wantTitles(t, "the other cursor", live, "one")
}

func TestUnknownCursorIsAnInternalError(t *testing.T) {
	t.Parallel()
	s := pgstore.New(migrated(t))
	if _, err := s.ForwardBatch(t.Context(), "head", 1, nil); err == nil || apperr.Of(err).Kind != apperr.Internal {
		t.Errorf("ForwardBatch: got %v", err)
	}
	if _, _, err := s.Backlog(t.Context(), "head"); err == nil || apperr.Of(err).Kind != apperr.Internal {
		t.Errorf("Backlog: got %v", err)
	}
}

// endIdleTransactions does what the database does to a relay that is idle for too long.
func endIdleTransactions(t *testing.T, db *sqlx.DB) {
	t.Helper()
	var ended int
	err := db.Get(&ended, `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
		WHERE datname = current_database() AND state = 'idle in transaction'`)
	if err != nil || ended == 0 {
		t.Errorf("ended %d transactions, error %v", ended, err)
	}
}

func forwardBatch(t *testing.T, s *pgstore.Store, cursor string, limit int) []task.Announcement {
	t.Helper()
	var sent []task.Announcement
	n, err := s.ForwardBatch(t.Context(), cursor, limit, func(_ context.Context, batch []task.Announcement) error {
		sent = batch
		return nil
	})
	if err != nil || n != len(sent) {
		t.Errorf("sent %d entries, returned %d, error %v", len(sent), n, err)
	}
	return sent
}

func wantTitles(t *testing.T, what string, sent []task.Announcement, want ...string) {
	t.Helper()
	titles := []string{}
	for _, a := range sent {
		titles = append(titles, a.Event.Task.Title)
	}
	if got, want := strings.Join(titles, " "), strings.Join(want, " "); got != want {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

func wantBounds(t *testing.T, s *pgstore.Store, head int64) {
	t.Helper()
	log, err := s.Bounds(t.Context())
	if err != nil || log.PurgedThrough != 0 || log.Head != head {
		t.Errorf("the log reaches from %d to %d, error %v, want 0 to %d", log.PurgedThrough, log.Head, err, head)
	}
}

func TestForwardBatchTakesSixRoundTrips(t *testing.T) {
	t.Parallel()
	s, p, _ := openBeforeForward(t)
	trips := p.answers.Load()
	wantTitles(t, "the batch", forwardBatch(t, s, "kafka", 10), "one")
	// number_events, begin, lock, select, advance, commit.
	if got := p.answers.Load() - trips; got != 6 {
		t.Errorf("%d round trips, want 6", got)
	}
}

// Waiting for both locks during the assignment is faster, and needs three connections.
func TestForwardBatchAssignsSequenceWhileItWaitsForTheLock(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	db, watching := open(t, dsn), open(t, dsn)
	migrate(t, db)
	db.SetMaxOpenConns(pgstore.RelayConns)
	s := pgstore.New(db)
	must(s.Create(t.Context(), task.NoOwner, newEvent("one"), task.IdempotencyKey{}))
	pgstore.AssignSequenceAfter(s, sync.OnceFunc(func() { awaitCursorLocks(t, watching, 2) }))
	var relays sync.WaitGroup
	for _, cursor := range []string{"kafka", "live"} {
		relays.Go(func() { wantTitles(t, cursor, forwardBatch(t, s, cursor, 10), "one") })
	}
	relays.Wait()
}

// openBeforeForward returns a store behind a proxy, and a pool past the proxy. The next
// ForwardBatch has one event, and its statements are prepared: begin, lock,
// number_events, select, advance and commit, in this order, each on the connection
// that has it prepared.
func openBeforeForward(t *testing.T) (*pgstore.Store, *proxy, *sqlx.DB) {
	t.Helper()
	s, p, _ := openWarm(t)
	db := p.direct(t)
	pgstore.AssignSequenceAfter(s, func() { awaitCursorLocks(t, db, 1) })
	forwardBatch(t, s, "kafka", 10)
	must(s.Create(t.Context(), task.NoOwner, newEvent("one"), task.IdempotencyKey{}))
	return s, p, db
}

// awaitCursorLocks waits until n cursors are locked.
func awaitCursorLocks(t *testing.T, db *sqlx.DB, n int) {
	testenv.Eventually(t, "the cursors are locked", func() bool {
		var held int
		err := db.Get(&held, `SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database
			WHERE datname = current_database() AND locktype = 'advisory' AND granted`)
		return err == nil && held == n
	})
}
