package pgstore_test

import (
	"context"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"example.com/todo/platform/apperr"
	"example.com/todo/platform/testenv"
	"example.com/todo/todo-service/internal/pgstore"
	"example.com/todo/todo-service/internal/task"
)

// saturateCreates starts as many creations as run at the same time, which wait until
// release is called. Later creations share the next statement.
func saturateCreates(t *testing.T, db *sqlx.DB, s *pgstore.Store, creators *sync.WaitGroup) (release func()) {
	t.Helper()
	// A lock on the table would already block the preparation of a statement.
	db.MustExec(`CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$
			BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN NULL; END $$;
		CREATE TRIGGER wait BEFORE INSERT ON tasks EXECUTE FUNCTION wait()`)
	tx := db.MustBegin()
	tx.MustExec(`SELECT pg_advisory_xact_lock(1)`)
	for i := range pgstore.MaxInFlight {
		creators.Go(func() { create(t, s, "early "+strconv.Itoa(i)) })
		awaitLocks(t, db, i+1)
	}
	return func() {
		if err := tx.Rollback(); err != nil {
			t.Fatal(err)
		}
	}
}

// create creates a task with a long deadline.
func create(t *testing.T, s *pgstore.Store, title string) task.Task {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	return must(s.Create(ctx, writer, newEvent(title), task.IdempotencyKey{}))
}

// awaitLocks waits until that many statements wait for a lock.
func awaitLocks(t *testing.T, db *sqlx.DB, want int) {
	t.Helper()
	testenv.Eventually(t, strconv.Itoa(want)+" statements wait", func() bool {
		var waiting int
		err := db.GetContext(t.Context(), &waiting, `SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock'`)
		if err != nil {
			t.Fatal(err)
		}
		return waiting == want
	})
}

func awaitWaitingCreates(t *testing.T, s *pgstore.Store, want int) {
	t.Helper()
	testenv.Eventually(t, strconv.Itoa(want)+" creations wait for the next statement", func() bool { return pgstore.WaitingCreates(s) == want })
}

// wantBatchCreated creates tasks in one batch, which starts when release is called, and
// checks that each is stored once, beside that many others.
func wantBatchCreated(t *testing.T, s *pgstore.Store, creators *sync.WaitGroup, others int64, release func()) {
	t.Helper()
	const callers = 20
	answers := make([]task.Task, callers)
	for i := range callers {
		creators.Go(func() { answers[i] = create(t, s, "batched "+strconv.Itoa(i)) })
	}
	awaitWaitingCreates(t, s, callers)
	release()
	creators.Wait()
	for i, got := range answers {
		wantOnce(t, s, got, "batched "+strconv.Itoa(i), 1, others+callers)
	}
}

func TestCreateReturnsEachCallerOfABatchItsOwnTask(t *testing.T) {
	t.Parallel()
	db := migrated(t)
	s := pgstore.New(db)
	var creators sync.WaitGroup
	release := saturateCreates(t, db, s, &creators)
	wantBatchCreated(t, s, &creators, pgstore.MaxInFlight, release)
	var statements int
	if err := db.Get(&statements, `SELECT count(DISTINCT xmin::text) FROM tasks`); err != nil || statements != pgstore.MaxInFlight+1 {
		t.Errorf("%d statements, want %d, error %v", statements, pgstore.MaxInFlight+1, err)
	}
}

func TestGetReturnsEachCallerOfABatchItsOwnTask(t *testing.T) {
	t.Parallel()
	s := pgstore.New(migrated(t))
	var tasks []task.Task
	for i := range 10 {
		tasks = append(tasks, create(t, s, strconv.Itoa(i)))
	}
	var callers sync.WaitGroup
	for range 50 {
		for _, want := range tasks {
			callers.Go(func() {
				if got, err := s.Get(t.Context(), writer, want.ID); err != nil || got.Title != want.Title {
					t.Errorf("task %q: got %q, %v", want.Title, got.Title, err)
				}
			})
		}
		callers.Go(func() {
			if _, err := s.Get(t.Context(), writer, 1<<40); err == nil || apperr.Of(err).Kind != apperr.NotFound {
				t.Errorf("a task that does not exist: %v", err)
			}
		})
	}
	callers.Wait()
}

func TestCreateStoresABatchOnceWhenItsConnectionBreaks(t *testing.T) {
	t.Parallel()
	for name, intercept := range map[string]func(*proxy){
		"response lost, connection closed": func(p *proxy) { p.intercept(answer, pgstore.MaxInFlight+1, closeConn) },
		"response lost, connection reset":  func(p *proxy) { p.intercept(answer, pgstore.MaxInFlight+1, resetConn) },
		"request lost, connection closed":  func(p *proxy) { p.intercept(request, 1, closeConn) },
		"request lost, connection reset":   func(p *proxy) { p.intercept(request, 1, resetConn) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, p, _ := openWarm(t)
			var creators sync.WaitGroup
			release := saturateCreates(t, p.direct(t), s, &creators)
			wantBatchCreated(t, s, &creators, pgstore.MaxInFlight+1, func() {
				intercept(p)
				release()
			})
		})
	}
}

// PostgreSQL refuses a statement whose text has a zero byte.
func TestCreateRefusesOnlyTheBadTaskOfABatch(t *testing.T) {
	t.Parallel()
	db := migrated(t)
	s := pgstore.New(db)
	var creators sync.WaitGroup
	release := saturateCreates(t, db, s, &creators)
	for i := range 5 {
		creators.Go(func() { create(t, s, "good "+strconv.Itoa(i)) })
	}
	creators.Go(func() {
		if _, err := s.Create(t.Context(), writer, newEvent("bad\x00"), task.IdempotencyKey{}); err == nil || apperr.Of(err).Kind != apperr.Internal {
			t.Errorf("got %v", err)
		}
	})
	awaitWaitingCreates(t, s, 6)
	release()
	creators.Wait()
	wantRows(t, db, "tasks", pgstore.MaxInFlight+5)
	wantRows(t, db, "events", pgstore.MaxInFlight+5)
}

func TestCreateSucceedsInABatchWithAShorterDeadline(t *testing.T) {
	t.Parallel()
	db := migrated(t)
	s := pgstore.New(db)
	var creators sync.WaitGroup
	release := saturateCreates(t, db, s, &creators)
	creators.Go(func() { create(t, s, "long deadline") })
	short, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	expired := make(chan struct{})
	creators.Go(func() {
		defer close(expired)
		if _, err := s.Create(short, writer, newEvent("short deadline"), task.IdempotencyKey{}); err == nil || apperr.Of(err).Kind != apperr.Unavailable {
			t.Errorf("got %v", err)
		}
	})
	awaitWaitingCreates(t, s, 2)
	// The running statements are cancelled and repeated; the batch starts.
	db.MustExec(`SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`)
	awaitWaitingCreates(t, s, 0)
	<-expired
	awaitLocks(t, db, pgstore.MaxInFlight+1)
	release()
	creators.Wait()
	wantRows(t, db, "tasks", pgstore.MaxInFlight+1)
	wantRows(t, db, "events", pgstore.MaxInFlight+1)
}
