package pgstore_test

import (
	"math"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jmoiron/sqlx"

	"example.com/todo/platform/apperr"
	"example.com/todo/todo-service/internal/pgstore"
	"example.com/todo/todo-service/internal/task"
	"example.com/todo/todo-service/internal/task/storetest"
)

// unownedLog has more rows than two batches of Adopt: three tasks in four, the others were
// deleted, and an event for each version.
func unownedLog(db *sqlx.DB) {
	db.MustExec(`INSERT INTO tasks (title, priority, done, created_at, version) SELECT 'Learn Go ' || i, 0, false, now(), 1 + i % 3 FROM generate_series(1, 3000) i`)
	db.MustExec(`INSERT INTO events (id, type, task_id, title, priority, done, created_at, version, at, traceparent)
		SELECT gen_random_uuid(), 'task.updated', id, title, priority, done, created_at, v, now(), '' FROM tasks, generate_series(1, version) v`)
	db.MustExec(`DELETE FROM tasks WHERE id % 4 = 0`)
}

// snapshot returns tasks and events without their owners, and how many owners they have.
func snapshot(t *testing.T, db *sqlx.DB) (rows []string, owners []string) {
	t.Helper()
	if err := db.Select(&rows, `SELECT (to_jsonb(tasks) - 'user_id')::text FROM tasks UNION ALL SELECT (to_jsonb(events) - 'user_id')::text FROM events ORDER BY 1`); err != nil {
		t.Fatal(err)
	}
	if err := db.Select(&owners, `SELECT coalesce(user_id, 0) || ': ' || count(*) FROM (SELECT user_id FROM tasks UNION ALL SELECT user_id FROM events) AS owned GROUP BY user_id ORDER BY 1`); err != nil {
		t.Fatal(err)
	}
	return rows, owners
}

func TestAdoptChangesNothingButTheOwnerOfWhatHasNone(t *testing.T) {
	t.Parallel()
	db := migrated(t)
	unownedLog(db)
	s := pgstore.New(db)
	theirs := must(s.Create(t.Context(), storetest.Other, newEvent("theirs"), task.IdempotencyKey{}))
	before, _ := snapshot(t, db)

	if n := must(s.Adopt(t.Context(), storetest.Owner)); n != 2_250 {
		t.Errorf("adopted %d tasks", n)
	}
	after, owners := snapshot(t, db)
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("rows apart from their owners (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"7: 8250", "8: 2"}, owners); diff != "" {
		t.Errorf("rows of each owner (-want +got):\n%s", diff)
	}
	if got := must(s.Get(t.Context(), storetest.Other, theirs.ID)); got != theirs {
		t.Errorf("another's task is %+v", got)
	}
	const deleted = 4
	if events := must(s.History(t.Context(), storetest.Owner, deleted, 0, 10)); len(events) != 2 || events[0].Owner != storetest.Owner {
		t.Errorf("the history of a deleted task is %+v", events)
	}
	if n := must(s.Adopt(t.Context(), storetest.Owner)); n != 0 {
		t.Errorf("adopted %d tasks again", n)
	}
}

func TestAdoptRefusesAnOwnerThatIsNoUser(t *testing.T) {
	t.Parallel()
	db := migrated(t)
	unownedLog(db)
	s := pgstore.New(db)
	for _, owner := range []task.Owner{task.NoOwner, -1, 99} {
		if n, err := s.Adopt(t.Context(), owner); err == nil || n != 0 {
			t.Errorf("owner %d adopted %d tasks, error %v", owner, n, err)
		}
	}
	if _, owners := snapshot(t, db); !cmp.Equal(owners, []string{"0: 8250"}) {
		t.Errorf("rows of each owner: %q", owners)
	}
}

// A writer without an owner that has read the task before finds none.
func TestAWriterThatAdoptOvertakesWritesNothing(t *testing.T) {
	t.Parallel()
	s := pgstore.New(migrated(t))
	before := must(s.Create(t.Context(), task.NoOwner, newEvent("before"), task.IdempotencyKey{}))
	for name, change := range map[string]func(*task.Task) (*task.Event, error){"change": rename("after"), "deletion": remove()} {
		_, err := s.Update(t.Context(), task.NoOwner, before.ID, func(draft *task.Task) (*task.Event, error) {
			must(s.Adopt(t.Context(), storetest.Owner))
			return change(draft)
		})
		if err == nil || apperr.Of(err).Kind != apperr.NotFound {
			t.Errorf("%s: got %v, want NotFoundError", name, err)
		}
		if got := must(s.Get(t.Context(), storetest.Owner, before.ID)); got != before {
			t.Errorf("%s: the task is %+v", name, got)
		}
		if events := must(s.History(t.Context(), storetest.Owner, before.ID, 0, 10)); len(events) != 1 {
			t.Errorf("%s: there are %d events", name, len(events))
		}
		before = must(s.Create(t.Context(), task.NoOwner, newEvent("before"), task.IdempotencyKey{}))
	}
}

// Concurrent calls share a query, also those of different owners for one task.
func TestReadersThatShareAQueryGetTheirOwnTasksAlone(t *testing.T) {
	t.Parallel()
	s := pgstore.New(migrated(t))
	want := must(s.Create(t.Context(), storetest.Owner, newEvent("A"), task.IdempotencyKey{}))
	var readers sync.WaitGroup
	for range 50 {
		for _, reader := range []task.Owner{storetest.Owner, storetest.Other, task.NoOwner} {
			readers.Go(func() {
				for range 20 {
					got, err := s.Get(t.Context(), reader, want.ID)
					if found := err == nil; found != (reader == storetest.Owner) || found && got != want {
						t.Errorf("owner %d got %+v, error %v", reader, got, err)
					}
				}
			})
		}
	}
	readers.Wait()
}

func TestTheLongestKeyOfTheHighestUserIsStored(t *testing.T) {
	t.Parallel()
	db := migrated(t)
	addUsers(db, math.MaxInt64)
	s := pgstore.New(db)
	longest := key(strings.Repeat("~", 255))
	first := must(s.Create(t.Context(), math.MaxInt64, newEvent("A"), longest))
	if again := must(s.Create(t.Context(), math.MaxInt64, newEvent("A"), longest)); again != first {
		t.Errorf("got %+v, want %+v", again, first)
	}
}

// Digits and a key of one owner must not be the key of another.
func TestKeysOfDifferentOwnersAreNeverOneText(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, owner := range []task.Owner{task.NoOwner, 1, 7, 17, 71} {
		for _, text := range []string{"k", "7k", "1k", "17", "7", "1", "7:k", "1-7"} {
			stored := pgstore.KeyText(owner, key(text))
			if seen[stored] {
				t.Errorf("%q of owner %d is stored as %q, as another", text, owner, stored)
			}
			seen[stored] = true
		}
	}
}

// The event log of an owner has the events of that owner alone, and says how far the log
// was purged, also when it returns none.
func TestAfterOfReturnsTheEventsOfOneOwner(t *testing.T) {
	t.Parallel()
	db := migrated(t)
	s := pgstore.New(db)
	owners := []task.Owner{task.NoOwner, storetest.Owner, storetest.Other, storetest.Owner}
	for _, owner := range owners {
		must(s.Create(t.Context(), owner, newEvent("A"), task.IdempotencyKey{}))
		if err := s.AssignSequence(t.Context(), 10); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		owner task.Owner
		after int64
		limit int
		want  []int64
	}{
		{task.NoOwner, 0, 10, []int64{1}},
		{storetest.Owner, 0, 10, []int64{2, 4}},
		{storetest.Owner, 0, 1, []int64{2}},
		{storetest.Owner, 2, 10, []int64{4}},
		{storetest.Other, 3, 10, nil},
		{99, 0, 10, nil},
	} {
		for purged := range int64(2) {
			db.MustExec(`UPDATE stream SET kafka_seq = head, live_seq = head, purged_through = $1`, purged)
			next, through, err := s.AfterOf(t.Context(), test.owner, test.after, test.limit)
			if err != nil || through != purged {
				t.Errorf("purged through %d, error %v", through, err)
			}
			var seqs []int64
			for _, a := range next {
				seqs = append(seqs, a.Seq)
				if a.Event.Owner != test.owner {
					t.Errorf("owner %d got an event of owner %d", test.owner, a.Event.Owner)
				}
			}
			if diff := cmp.Diff(test.want, seqs); diff != "" {
				t.Errorf("owner %d after %d (-want +got):\n%s", test.owner, test.after, diff)
			}
		}
	}
}
