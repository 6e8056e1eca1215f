package pgstore_test

import (
	"context"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jmoiron/sqlx"

	"example.com/todo/platform/apperr"
	"example.com/todo/todo-service/internal/pgstore"
	"example.com/todo/todo-service/internal/task"
)

func key(text string) task.IdempotencyKey { return must(task.ParseIdempotencyKey([]string{text})) }

// later returns the event at a later time.
func later(e task.Event, by time.Duration) task.Event {
	e.At = e.At.Add(by)
	e.Task.CreatedAt = e.At
	return e
}

func TestIdempotentCreateTakesOneRoundTripAndItsReplayTwo(t *testing.T) {
	t.Parallel()
	s, p, _ := openWarm(t)
	for i, want := range []int64{1, 2, 2} {
		trips := p.answers.Load()
		must(s.Create(t.Context(), writer, newEvent("A"), key("k")))
		if got := p.answers.Load() - trips; got != want {
			t.Errorf("request %d took %d round trips, want %d", i, got, want)
		}
	}
	if got := s.IdempotentReplays(); got != 3 { // openWarm made one
		t.Errorf("counted %d replays, want 3", got)
	}
}

// The process of the first request dies between commit and response; the second request
// reaches another process.
func TestIdempotentCreateFindsTheTaskOfADeadWriter(t *testing.T) {
	t.Parallel()
	s, p, _ := openWarm(t)
	p.intercept(answer, 1, func(client *net.TCPConn) bool {
		p.close()
		return resetConn(client)
	})
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	first := newEvent("after")
	if got, err := s.Create(ctx, writer, first, key("k")); err == nil || apperr.Of(err).Kind != apperr.Unavailable {
		t.Fatalf("got %+v, %v, want unavailable", got, err)
	}

	other := pgstore.New(p.direct(t))
	again := later(newEvent("after"), time.Minute)
	got := must(other.Create(t.Context(), writer, again, key("k")))
	first.Task.ID = got.ID
	if diff := cmp.Diff(first.Task, got); diff != "" {
		t.Errorf("task (-want +got):\n%s", diff)
	}
	wantOnce(t, other, got, "after", 1, 2)
}

func TestIdempotentReplaySucceedsWhenItsConnectionBreaks(t *testing.T) {
	t.Parallel()
	for trip, name := range map[int]string{1: "looking for the key", 2: "reading the first task"} {
		for how, breakConn := range map[string]func(*net.TCPConn) bool{"closed": closeConn, "reset": resetConn} {
			for where, direction := range map[string]direction{"request": request, "response": answer} {
				t.Run(name+"/"+where+" "+how, func(t *testing.T) {
					t.Parallel()
					s, p, _ := openWarm(t)
					first := must(s.Create(t.Context(), writer, newEvent("after"), key("k")))
					p.intercept(direction, trip, breakConn)
					got := must(s.Create(t.Context(), writer, later(newEvent("after"), time.Minute), key("k")))
					if diff := cmp.Diff(first, got); diff != "" {
						t.Errorf("task (-first +second):\n%s", diff)
					}
					wantOnce(t, s, got, "after", 1, 2)
				})
			}
		}
	}
}

func TestIdempotentReplayWaitsForTheFirstCreate(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*sqlx.Tx) error{"commits": (*sqlx.Tx).Commit, "rolls back": (*sqlx.Tx).Rollback} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := migrated(t)
			first := holdKey(db)
			second := newEvent("A")
			answer := make(chan task.Task, 1)
			go func() { answer <- must(pgstore.New(db).Create(t.Context(), task.NoOwner, second, key("k"))) }()
			awaitLocks(t, db, 1)
			if err := end(first); err != nil {
				t.Fatal(err)
			}
			got := <-answer
			if committed := name == "commits"; committed != (got.ID == heldTask) || got.CreatedAt.Equal(second.At) == committed {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestIdempotentReplayWaitsNoLongerThanItsDeadline(t *testing.T) {
	t.Parallel()
	db := migrated(t)
	s := pgstore.New(db)
	first := holdKey(db)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	got, err := s.Create(ctx, task.NoOwner, newEvent("A"), key("k"))
	if err == nil || apperr.Of(err).Kind != apperr.Unavailable {
		t.Errorf("got %+v, %v, want unavailable", got, err)
	}
	if err := first.Rollback(); err != nil {
		t.Fatal(err)
	}
	wantRows(t, db, "tasks", 0)
	wantRows(t, db, "events", 0)
	wantRows(t, db, "idempotency_keys", 0)
}

// The key's row exists when the create runs, and is gone when the first task is read.
func TestIdempotentCreateReusesAKeyDeletedMeanwhile(t *testing.T) {
	t.Parallel()
	s, p, _ := openWarm(t)
	must(s.Create(t.Context(), writer, newEvent("A"), key("k")))
	db := p.direct(t)
	p.intercept(request, 2, func(*net.TCPConn) bool {
		db.MustExec(`DELETE FROM idempotency_keys`)
		return true
	})
	got := must(s.Create(t.Context(), writer, newEvent("after"), key("k")))
	wantOnce(t, s, got, "after", 1, 3)
}

func TestDeleteExpiredKeysDeletesTheOldestFirst(t *testing.T) {
	t.Parallel()
	db := migrated(t)
	s := pgstore.New(db)
	var at time.Time
	for i := range 5 {
		e := later(newEvent("A"), time.Duration(i)*time.Second)
		must(s.Create(t.Context(), task.NoOwner, e, key(strconv.Itoa(i))))
		if i == 3 {
			at = e.At
		}
	}
	for _, want := range []int64{2, 1, 0} {
		if got := must(s.DeleteExpiredKeys(t.Context(), at, 2)); got != want {
			t.Errorf("deleted %d keys, want %d", got, want)
		}
	}
	var left []string
	if err := db.Select(&left, `SELECT key FROM idempotency_keys ORDER BY key`); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"3", "4"}, left); diff != "" {
		t.Errorf("keys left (-want +got):\n%s", diff)
	}
	wantRows(t, db, "tasks", 5)
}

// An expired key is taken over while it is about to be deleted: the row of the new
// creation must stay.
func TestDeleteExpiredKeysKeepsAKeyThatIsTakenOver(t *testing.T) {
	t.Parallel()
	const keys, rounds = 8, 20
	db := migrated(t)
	s := pgstore.New(db)
	for round := range rounds {
		now := time.Duration(round) * 2 * task.IdempotencyKeyTTL
		var group sync.WaitGroup
		answers := make([]task.Task, keys)
		for i := range keys {
			group.Go(func() {
				answers[i] = must(s.Create(t.Context(), task.NoOwner, later(newEvent("A"), now), key(strconv.Itoa(i))))
			})
			group.Go(func() { must(s.DeleteExpiredKeys(t.Context(), time.Now().Add(now-task.IdempotencyKeyTTL), keys)) })
		}
		group.Wait()
		for i, first := range answers {
			if got := must(s.Create(t.Context(), task.NoOwner, later(newEvent("A"), now), key(strconv.Itoa(i)))); got != first {
				t.Fatalf("round %d, key %d: got task %d, then %d", round, i, first.ID, got.ID)
			}
		}
	}
	wantRows(t, db, "tasks", keys*rounds)
	wantRows(t, db, "events", keys*rounds)
}

const heldTask = 77

// holdKey returns the transaction of a creation before its commit.
func holdKey(db *sqlx.DB) *sqlx.Tx {
	tx := db.MustBegin()
	tx.MustExec(`INSERT INTO idempotency_keys (key, event_id, task_id, title, priority, created_at)
		VALUES ('k', gen_random_uuid(), $1, 'A', 0, $2)`, heldTask, time.Now().Add(-time.Minute))
	return tx
}

func wantRows(t *testing.T, db *sqlx.DB, table string, want int) {
	t.Helper()
	var got int
	if err := db.Get(&got, `SELECT count(*) FROM `+table); err != nil || got != want {
		t.Errorf("%s has %d rows, want %d, error %v", table, got, want, err)
	}
}
