package pgstore_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/todo/platform/apperr"
	"example.com/todo/todo-service/internal/pgstore"
	"example.com/todo/todo-service/internal/task"
)

// write is a kind of change to a task "before" at version 1. The store must hold the
// same afterwards, however many attempts it needed.
type write struct {
	name    string
	trips   int // round trips, the last of which writes
	do      func(context.Context, *pgstore.Store, task.Task) (task.Task, error)
	title   string // of the returned task
	version int64  // of the returned task
	tasks   int64  // stored afterwards
}

var writes = []write{
	{"create", 1, func(ctx context.Context, s *pgstore.Store, _ task.Task) (task.Task, error) {
		return s.Create(ctx, writer, newEvent("after"), task.IdempotencyKey{})
	}, "after", 1, 2},
	{"create with a key", 1, func(ctx context.Context, s *pgstore.Store, _ task.Task) (task.Task, error) {
		return s.Create(ctx, writer, newEvent("after"), key("k"))
	}, "after", 1, 2},
	{"create with a key that is free again", 1, func(ctx context.Context, s *pgstore.Store, _ task.Task) (task.Task, error) {
		return s.Create(ctx, writer, later(newEvent("after"), task.IdempotencyKeyTTL+time.Hour), key("warm"))
	}, "after", 1, 2},
	{"update", 2, func(ctx context.Context, s *pgstore.Store, before task.Task) (task.Task, error) {
		return s.Update(ctx, writer, before.ID, rename("after"))
	}, "after", 2, 1},
	{"update at a version", 2, func(ctx context.Context, s *pgstore.Store, before task.Task) (task.Task, error) {
		change := rename("after")
		return s.Update(ctx, writer, before.ID, func(t *task.Task) (*task.Event, error) {
			if t.Version != before.Version {
				return nil, errStale
			}
			return change(t)
		})
	}, "after", 2, 1},
	{"delete", 2, func(ctx context.Context, s *pgstore.Store, before task.Task) (task.Task, error) {
		return s.Update(ctx, writer, before.ID, remove())
	}, "before", 2, 0},
}

var errStale = errors.New("the version has moved on")

func TestWriteTakesTheExpectedRoundTrips(t *testing.T) {
	forEachWrite(t, func(t *testing.T, write write, s *pgstore.Store, p *proxy, before task.Task) {
		trips := p.answers.Load()
		must(write.do(t.Context(), s, before))
		if got := p.answers.Load() - trips; got != int64(write.trips) {
			t.Errorf("got %d round trips, want %d", got, write.trips)
		}
	})
}

func TestWriteIsStoredOnceWhenItsConnectionBreaks(t *testing.T) {
	t.Parallel()
	for _, write := range writes {
		for name, intercept := range map[string]func(*testing.T, *proxy){
			"response lost, connection closed": func(_ *testing.T, p *proxy) { p.intercept(answer, write.trips, closeConn) },
			"response lost, connection reset":  func(_ *testing.T, p *proxy) { p.intercept(answer, write.trips, resetConn) },
			"request lost, connection closed":  func(_ *testing.T, p *proxy) { p.intercept(request, write.trips, closeConn) },
			"request lost, connection reset":   func(_ *testing.T, p *proxy) { p.intercept(request, write.trips, resetConn) },
			"response lost, database away for a while": func(t *testing.T, p *proxy) {
				p.intercept(answer, write.trips, func(client *net.TCPConn) bool {
					addr := p.listener.Addr().String()
					p.close()
					time.AfterFunc(200*time.Millisecond, func() { p.listen(t, addr) })
					return resetConn(client)
				})
			},
		} {
			t.Run(write.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				s, p, before := openWarm(t)
				intercept(t, p)
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				defer cancel()
				wantWrittenOnce(ctx, t, s, write, before)
				if n := s.IdempotentReplays(); n != 1 { // made by openWarm
					t.Errorf("the write counts as %d replays", n-1)
				}
			})
		}
	}
}

func TestWriteSucceedsWhenTheResponseIsLaterThanTheDeadline(t *testing.T) {
	forEachWrite(t, func(t *testing.T, write write, s *pgstore.Store, p *proxy, before task.Task) {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		p.intercept(answer, write.trips, func(*net.TCPConn) bool {
			<-ctx.Done()
			return true
		})
		wantWrittenOnce(ctx, t, s, write, before)
	})
}

func TestWriteShowsNoInternalsWhenTheDatabaseIsAway(t *testing.T) {
	forEachWrite(t, func(t *testing.T, write write, s *pgstore.Store, p *proxy, before task.Task) {
		p.close()
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		_, err := write.do(ctx, s, before)
		wantUnavailable(t, err)
		if message := apperr.Of(err).Message; strings.Contains(message, "127.0.0.1") || strings.Contains(message, "dial") {
			t.Errorf("the client is shown %q", message)
		}
	})
}

func TestWriteFailsAtOnceWhenNothingWasDispatched(t *testing.T) {
	t.Parallel()
	for _, write := range writes {
		for name, store := range map[string]func(*testing.T) (*pgstore.Store, task.Task){
			"a store that never reached it": func(t *testing.T) (*pgstore.Store, task.Task) {
				return pgstore.New(open(t, parse(t, "postgres://nobody@127.0.0.1:1/none?sslmode=disable"))), task.Task{ID: 1}
			},
			"connections that died in the pool": func(t *testing.T) (*pgstore.Store, task.Task) {
				s, p, before := openWarm(t)
				p.close()
				return s, before
			},
			"statements prepared, no connection left": func(t *testing.T) (*pgstore.Store, task.Task) {
				s, p, before := openWarm(t)
				p.db.SetMaxIdleConns(-1)
				p.close()
				return s, before
			},
		} {
			t.Run(write.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				s, before := store(t)
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				_, err := write.do(ctx, s, before)
				wantUnavailable(t, err)
				if ctx.Err() != nil {
					t.Error("it waited for its deadline although nothing was dispatched")
				}
			})
		}
	}
}

func TestUpdateIsContendedWhenEveryAttemptConflicts(t *testing.T) {
	t.Parallel()
	db := migrated(t)
	s := pgstore.New(db)
	before := must(s.Create(t.Context(), writer, newEvent("before"), task.IdempotencyKey{}))
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	change := rename("after")
	_, err := s.Update(ctx, writer, before.ID, func(t *task.Task) (*task.Event, error) {
		db.MustExec(`UPDATE tasks SET version = version + 1`)
		return change(t)
	})
	if want := task.ContendedError(before.ID); err == nil || err.Error() != want.Error() {
		t.Errorf("got %v, want %v", err, want)
	}
	if events := must(s.History(t.Context(), writer, before.ID, 0, 10)); len(events) != 1 {
		t.Errorf("got %d events, want only that of the creation", len(events))
	}
}

func TestUpdateChangesNothingWhenItWaitsPastItsDeadline(t *testing.T) {
	t.Parallel()
	db := migrated(t)
	s := pgstore.New(db)
	before := must(s.Create(t.Context(), writer, newEvent("before"), task.IdempotencyKey{}))
	other := db.MustBegin()
	other.MustExec(`SELECT FROM tasks FOR UPDATE`)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err := s.Update(ctx, writer, before.ID, rename("after"))
	wantUnavailable(t, err)
	if err := other.Rollback(); err != nil {
		t.Fatal(err)
	}
	wantOnce(t, s, before, "before", 1, 1)
}

// openWarm returns a store behind a proxy, with one connection on which every statement
// is prepared, and a task to change.
func openWarm(t *testing.T) (*pgstore.Store, *proxy, task.Task) {
	t.Helper()
	dsn := database(t)
	migrate(t, open(t, dsn))
	p, through := behindProxy(t, dsn)
	p.db = open(t, through)
	s := pgstore.New(p.db)
	first := must(s.Create(t.Context(), writer, newEvent("first"), key("warm")))
	must(s.Create(t.Context(), writer, newEvent("first"), key("warm")))
	must(s.Update(t.Context(), writer, first.ID, rename("second")))
	must(s.Update(t.Context(), writer, first.ID, remove()))
	return s, p, must(s.Create(t.Context(), writer, newEvent("before"), task.IdempotencyKey{}))
}

// forEachWrite runs test in parallel for each kind of change, with a store of its own
// from openWarm.
func forEachWrite(t *testing.T, test func(t *testing.T, write write, s *pgstore.Store, p *proxy, before task.Task)) {
	t.Parallel()
	for _, write := range writes {
		t.Run(write.name, func(t *testing.T) {
			t.Parallel()
			s, p, before := openWarm(t)
			test(t, write, s, p, before)
		})
	}
}

func wantUnavailable(t *testing.T, err error) {
	t.Helper()
	if err == nil || apperr.Of(err).Kind != apperr.Unavailable {
		t.Fatalf("got %v, want unavailable", err)
	}
}

// wantWrittenOnce makes the change and checks what is stored afterwards.
func wantWrittenOnce(ctx context.Context, t *testing.T, s *pgstore.Store, write write, before task.Task) {
	t.Helper()
	got, err := write.do(ctx, s, before)
	if err != nil {
		t.Fatal(err)
	}
	wantOnce(t, s, got, write.title, write.version, write.tasks)
}

// wantOnce checks the returned task against what is stored, and that there is exactly
// one event for each version.
func wantOnce(t *testing.T, s *pgstore.Store, got task.Task, title string, version, tasks int64) {
	t.Helper()
	if got.Title != title || got.Version != version {
		t.Errorf("got %+v, want title %q at version %d", got, title, version)
	}
	events := must(s.History(t.Context(), writer, got.ID, 0, 10))
	if int64(len(events)) != version {
		t.Fatalf("got %d events, want %d", len(events), version)
	}
	if diff := cmp.Diff(got, events[version-1].Task); diff != "" {
		t.Errorf("the event differs from the returned task (-returned +event):\n%s", diff)
	}
	if n := must(s.Count(t.Context(), writer)).Total; n != tasks {
		t.Errorf("there are %d tasks, want %d", n, tasks)
	}
}

// The response to the first attempt is lost. The second attempt meets another version,
// perhaps that of the first one, and the database cannot be asked for the event.
func TestUpdateIsUnavailableWhenItsOutcomeIsUnknown(t *testing.T) {
	t.Parallel()
	s, p, before := openWarm(t)
	p.intercept(answer, 2, resetConn)
	first := rename("moved on")
	calls := 0
	_, err := s.Update(t.Context(), writer, before.ID, func(draft *task.Task) (*task.Event, error) {
		if calls++; calls == 1 {
			return first(draft)
		}
		p.close()
		return nil, apperr.New(apperr.PreconditionFailed, "the task moved on")
	})
	wantUnavailable(t, err)
	var title string
	if err := p.direct(t).Get(&title, `SELECT title FROM tasks WHERE id = $1`, before.ID); err != nil || title != "moved on" || calls != 2 {
		t.Errorf("the title is %q after %d attempts, error %v", title, calls, err)
	}
}
