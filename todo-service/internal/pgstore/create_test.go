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

// crowd has creations under way, which wait until release is called, so that those
// who come now share the next statement.
func crowd(t *testing.T, db *sqlx.DB, s *pgstore.Store, creators *sync.WaitGroup) (release func()) {
	t.Helper()
	// A lock on the table would already be waited for by those who prepare a statement.
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

// create has much time.
func create(t *testing.T, s *pgstore.Store, title string) task.Task {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	return must(s.Create(ctx, pendingCreate(title), task.IdempotencyKey{}))
}

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

func awaitSharers(t *testing.T, s *pgstore.Store, want int) {
	t.Helper()
	testenv.Eventually(t, strconv.Itoa(want)+" share the next statement", func() bool { return pgstore.WaitingCreates(s) == want })
}

// wantShared has tasks created that share a statement once release was called, beside
// so many others, and checks that each is there once.
func wantShared(t *testing.T, s *pgstore.Store, creators *sync.WaitGroup, others int64, release func()) {
	t.Helper()
	const sharers = 20
	answers := make([]task.Task, sharers)
	for i := range sharers {
		creators.Go(func() { answers[i] = create(t, s, "shared "+strconv.Itoa(i)) })
	}
	awaitSharers(t, s, sharers)
	release()
	creators.Wait()
	for i, got := range answers {
		wantOnce(t, s, got, "shared "+strconv.Itoa(i), 1, others+sharers)
	}
}

func TestThoseWhoShareAStatementEachGetTheirOwnTask(t *testing.T) {
	t.Parallel()
	db := migrated(t)
	s := pgstore.New(db)
	var creators sync.WaitGroup
	release := crowd(t, db, s, &creators)
	wantShared(t, s, &creators, pgstore.MaxInFlight, release)
	var statements int
	if err := db.Get(&statements, `SELECT count(DISTINCT xmin::text) FROM tasks`); err != nil || statements != pgstore.MaxInFlight+1 {
		t.Errorf("%d statements, want %d, error %v", statements, pgstore.MaxInFlight+1, err)
	}
}

func TestThoseWhoShareALookupEachGetTheirOwnTask(t *testing.T) {
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
				if got, err := s.Get(t.Context(), want.ID); err != nil || got.Title != want.Title {
					t.Errorf("task %q: got %q, %v", want.Title, got.Title, err)
				}
			})
		}
		callers.Go(func() {
			if _, err := s.Get(t.Context(), 1<<40); err == nil || apperr.Of(err).Kind != apperr.NotFound {
				t.Errorf("of a task that is not there: %v", err)
			}
		})
	}
	callers.Wait()
}

func TestASharedCreationIsMadeOnceWhateverHappensToTheConnection(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*proxy){
		"answer lost, hung up":  func(p *proxy) { p.spoil(answer, pgstore.MaxInFlight+1, hangUp) },
		"answer lost, reset":    func(p *proxy) { p.spoil(answer, pgstore.MaxInFlight+1, reset) },
		"request lost, hung up": func(p *proxy) { p.spoil(request, 1, hangUp) },
		"request lost, reset":   func(p *proxy) { p.spoil(request, 1, reset) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, p, _ := warm(t)
			var creators sync.WaitGroup
			release := crowd(t, p.direct(t), s, &creators)
			wantShared(t, s, &creators, pgstore.MaxInFlight+1, func() {
				spoil(p)
				release()
			})
		})
	}
}

// PostgreSQL takes no text with a zero byte, and refuses the statement.
func TestACreationThatIsRefusedIsRefusedAlone(t *testing.T) {
	t.Parallel()
	db := migrated(t)
	s := pgstore.New(db)
	var creators sync.WaitGroup
	release := crowd(t, db, s, &creators)
	for i := range 5 {
		creators.Go(func() { create(t, s, "good "+strconv.Itoa(i)) })
	}
	creators.Go(func() {
		if _, err := s.Create(t.Context(), pendingCreate("bad\x00"), task.IdempotencyKey{}); err == nil || apperr.Of(err).Kind != apperr.Internal {
			t.Errorf("got %v", err)
		}
	})
	awaitSharers(t, s, 6)
	release()
	creators.Wait()
	wantRows(t, db, "tasks", pgstore.MaxInFlight+5)
	wantRows(t, db, "events", pgstore.MaxInFlight+5)
}

func TestWhoHasLittleTimeCostsTheOthersNothing(t *testing.T) {
	t.Parallel()
	db := migrated(t)
	s := pgstore.New(db)
	var creators sync.WaitGroup
	release := crowd(t, db, s, &creators)
	creators.Go(func() { create(t, s, "patient") })
	hurried, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	gaveUp := make(chan struct{})
	creators.Go(func() {
		defer close(gaveUp)
		if _, err := s.Create(hurried, pendingCreate("hurried"), task.IdempotencyKey{}); err == nil || apperr.Of(err).Kind != apperr.Unavailable {
			t.Errorf("got %v", err)
		}
	})
	awaitSharers(t, s, 2)
	// Those before them are ended, and try again; the statement that is shared begins.
	db.MustExec(`SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`)
	awaitSharers(t, s, 0)
	<-gaveUp
	awaitLocks(t, db, pgstore.MaxInFlight+1)
	release()
	creators.Wait()
	wantRows(t, db, "tasks", pgstore.MaxInFlight+1)
	wantRows(t, db, "events", pgstore.MaxInFlight+1)
}
