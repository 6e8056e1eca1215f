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

// writes are the kinds of change, each over a task "before" at version 1,
// and what the store must have afterwards, however often it had to try.
var writes = []struct {
	name    string
	trips   int // round trips, the last of which writes
	do      func(context.Context, *pgstore.Store, task.Task) (task.Task, error)
	title   string // of the answer
	version int64  // of the answer
	tasks   int64  // there are afterwards
}{
	{"create", 1, func(ctx context.Context, s *pgstore.Store, _ task.Task) (task.Task, error) {
		return s.Create(ctx, pendingCreate("after"), task.IdempotencyKey{})
	}, "after", 1, 2},
	{"create with a key", 1, func(ctx context.Context, s *pgstore.Store, _ task.Task) (task.Task, error) {
		return s.Create(ctx, pendingCreate("after"), key("k"))
	}, "after", 1, 2},
	{"create with a key that is free again", 1, func(ctx context.Context, s *pgstore.Store, _ task.Task) (task.Task, error) {
		return s.Create(ctx, later(pendingCreate("after"), task.IdempotencyKeyTTL+time.Hour), key("warm"))
	}, "after", 1, 2},
	{"update", 2, func(ctx context.Context, s *pgstore.Store, before task.Task) (task.Task, error) {
		return s.Update(ctx, before.ID, rename("after"))
	}, "after", 2, 1},
	{"update at a version", 2, func(ctx context.Context, s *pgstore.Store, before task.Task) (task.Task, error) {
		change := rename("after")
		return s.Update(ctx, before.ID, func(t *task.Task) (*task.Event, error) {
			if t.Version != before.Version {
				return nil, errStale
			}
			return change(t)
		})
	}, "after", 2, 1},
	{"delete", 2, func(ctx context.Context, s *pgstore.Store, before task.Task) (task.Task, error) {
		return s.Update(ctx, before.ID, remove())
	}, "before", 2, 0},
}

var errStale = errors.New("the version has moved on")

func TestAWriteTakesNoMoreRoundTripsThanItNeeds(t *testing.T) {
	t.Parallel()
	for _, write := range writes {
		t.Run(write.name, func(t *testing.T) {
			t.Parallel()
			s, p, before := warm(t)
			trips := p.answers.Load()
			must(write.do(t.Context(), s, before))
			if got := p.answers.Load() - trips; got != int64(write.trips) {
				t.Errorf("got %d round trips, want %d", got, write.trips)
			}
		})
	}
}

func TestAWriteIsMadeOnceWhateverHappensToTheConnection(t *testing.T) {
	t.Parallel()
	for _, write := range writes {
		for name, spoil := range map[string]func(*testing.T, *proxy){
			"answer lost, hung up": func(_ *testing.T, p *proxy) { p.spoil(answer, write.trips, hangUp) },
			"answer lost, reset":   func(_ *testing.T, p *proxy) { p.spoil(answer, write.trips, reset) },
			"request lost, hung up": func(_ *testing.T, p *proxy) {
				p.spoil(request, write.trips, hangUp)
			},
			"request lost, reset": func(_ *testing.T, p *proxy) { p.spoil(request, write.trips, reset) },
			"answer lost, database away for a while": func(t *testing.T, p *proxy) {
				p.spoil(answer, write.trips, func(client *net.TCPConn) bool {
					addr := p.listener.Addr().String()
					p.close()
					time.AfterFunc(200*time.Millisecond, func() { p.listen(t, addr) })
					return reset(client)
				})
			},
		} {
			t.Run(write.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				s, p, before := warm(t)
				spoil(t, p)
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				defer cancel()
				got, err := write.do(ctx, s, before)
				if err != nil {
					t.Fatal(err)
				}
				wantOnce(t, s, got, write.title, write.version, write.tasks)
				if n := s.IdempotentReplays(); n != 1 { // made by warm
					t.Errorf("the write counts as %d repetitions of another", n-1)
				}
			})
		}
	}
}

func TestAnAnswerPastTheDeadlineIsASuccess(t *testing.T) {
	t.Parallel()
	for _, write := range writes {
		t.Run(write.name, func(t *testing.T) {
			t.Parallel()
			s, p, before := warm(t)
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			p.spoil(answer, write.trips, func(*net.TCPConn) bool {
				<-ctx.Done()
				return true
			})
			got, err := write.do(ctx, s, before)
			if err != nil {
				t.Fatal(err)
			}
			wantOnce(t, s, got, write.title, write.version, write.tasks)
		})
	}
}

func TestADatabaseThatIsAwayIsSaidWithoutInternals(t *testing.T) {
	t.Parallel()
	for _, write := range writes {
		t.Run(write.name, func(t *testing.T) {
			t.Parallel()
			s, p, before := warm(t)
			p.close()
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			_, err := write.do(ctx, s, before)
			if err == nil || apperr.Of(err).Kind != apperr.Unavailable {
				t.Fatalf("got %v, want unavailable", err)
			}
			if message := apperr.Of(err).Message; strings.Contains(message, "127.0.0.1") || strings.Contains(message, "dial") {
				t.Errorf("the client is shown %q", message)
			}
		})
	}
}

func TestADatabaseThatWasNotReachedIsSaidAtOnce(t *testing.T) {
	t.Parallel()
	for _, write := range writes {
		for name, store := range map[string]func(*testing.T) (*pgstore.Store, task.Task){
			"a store that never reached it": func(t *testing.T) (*pgstore.Store, task.Task) {
				return pgstore.New(open(t, parse(t, "postgres://nobody@127.0.0.1:1/none?sslmode=disable"))), task.Task{ID: 1}
			},
			"connections that died in the pool": func(t *testing.T) (*pgstore.Store, task.Task) {
				s, p, before := warm(t)
				p.close()
				return s, before
			},
			"statements prepared, no connection left": func(t *testing.T) (*pgstore.Store, task.Task) {
				s, p, before := warm(t)
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
				if err == nil || apperr.Of(err).Kind != apperr.Unavailable {
					t.Errorf("got %v, want unavailable", err)
				}
				if ctx.Err() != nil {
					t.Error("it waited out its deadline although nothing was sent")
				}
			})
		}
	}
}

func TestAWriteThatAlwaysComesSecondGivesUpAtTheDeadline(t *testing.T) {
	t.Parallel()
	db := migrated(t)
	s := pgstore.New(db)
	before := must(s.Create(t.Context(), pendingCreate("before"), task.IdempotencyKey{}))
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	change := rename("after")
	_, err := s.Update(ctx, before.ID, func(t *task.Task) (*task.Event, error) {
		db.MustExec(`UPDATE tasks SET version = version + 1`)
		return change(t)
	})
	if diff := cmp.Diff(task.ContendedError(before.ID).Error(), errorText(err)); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
	if events := must(s.History(t.Context(), before.ID, 0, 10)); len(events) != 1 {
		t.Errorf("got %d events, want that of the creation", len(events))
	}
}

func TestAWriteThatWaitsPastItsDeadlineChangesNothing(t *testing.T) {
	t.Parallel()
	db := migrated(t)
	s := pgstore.New(db)
	before := must(s.Create(t.Context(), pendingCreate("before"), task.IdempotencyKey{}))
	other := db.MustBegin()
	other.MustExec(`SELECT FROM tasks FOR UPDATE`)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err := s.Update(ctx, before.ID, rename("after"))
	if err == nil || apperr.Of(err).Kind != apperr.Unavailable {
		t.Errorf("got %v, want unavailable", err)
	}
	if err := other.Rollback(); err != nil {
		t.Fatal(err)
	}
	wantOnce(t, s, before, "before", 1, 1)
}

// warm returns a store behind a proxy, with one connection on which every
// statement is prepared, and the task that is changed.
func warm(t *testing.T) (*pgstore.Store, *proxy, task.Task) {
	t.Helper()
	dsn := database(t)
	migrate(t, open(t, dsn))
	p, through := behindProxy(t, dsn)
	p.db = open(t, through)
	s := pgstore.New(p.db)
	first := must(s.Create(t.Context(), pendingCreate("first"), key("warm")))
	must(s.Create(t.Context(), pendingCreate("first"), key("warm")))
	must(s.Update(t.Context(), first.ID, rename("second")))
	must(s.Update(t.Context(), first.ID, remove()))
	return s, p, must(s.Create(t.Context(), pendingCreate("before"), task.IdempotencyKey{}))
}

// wantOnce checks the answer against what is stored, and that there is exactly
// one event for each version.
func wantOnce(t *testing.T, s *pgstore.Store, got task.Task, title string, version, tasks int64) {
	t.Helper()
	if got.Title != title || got.Version != version {
		t.Errorf("got %+v, want title %q at version %d", got, title, version)
	}
	events := must(s.History(t.Context(), got.ID, 0, 10))
	if int64(len(events)) != version {
		t.Fatalf("got %d events, want %d", len(events), version)
	}
	if diff := cmp.Diff(got, events[version-1].Task); diff != "" {
		t.Errorf("what was announced differs from the answer (-answer +announced):\n%s", diff)
	}
	if n := must(s.Count(t.Context(), nil)); n != tasks {
		t.Errorf("there are %d tasks, want %d", n, tasks)
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// The answer to the first try is lost. The second finds a task that has moved on,
// by that very try perhaps, and the database can not be asked for its event.
func TestARefusalIsNotGuessed(t *testing.T) {
	t.Parallel()
	s, p, before := warm(t)
	p.spoil(answer, 2, reset)
	first := rename("moved on")
	calls := 0
	_, err := s.Update(t.Context(), before.ID, func(draft *task.Task) (*task.Event, error) {
		if calls++; calls == 1 {
			return first(draft)
		}
		p.close()
		return nil, apperr.New(apperr.PreconditionFailed, "the task moved on")
	})
	if err == nil || apperr.Of(err).Kind != apperr.Unavailable {
		t.Errorf("got %v, want that nobody knows", err)
	}
	var title string
	if err := p.direct(t).Get(&title, `SELECT title FROM tasks WHERE id = $1`, before.ID); err != nil || title != "moved on" || calls != 2 {
		t.Errorf("the title is %q after %d tries, error %v", title, calls, err)
	}
}
