package pgstore_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"

	"github.com/jmoiron/sqlx"

	"example.com/todo/platform/apperr"
	"example.com/todo/platform/postgres"
	"example.com/todo/todo-service/internal/pgstore"
	"example.com/todo/todo-service/internal/task"
)

// Writers change a few tasks at once, their commits delayed at random, while two
// relays move each cursor, fail at random and lose their transactions at
// random. Whoever reads what they send still sees every event, and each task's
// in order.
func TestNothingIsLostOrOutOfOrderWithTwoRelaysAndLateCommits(t *testing.T) {
	t.Parallel()
	const writers, changes, tasks = 8, 40, 4
	db := migrated(t)
	delayCommits(db)
	s := pgstore.New(db)
	var ids []int64
	for range tasks {
		ids = append(ids, must(s.Create(t.Context(), pendingCreate("0"), task.IdempotencyKey{})).ID)
	}

	relaying, stop := context.WithCancel(t.Context())
	sent := map[string]*record{"kafka": newRecord(), "live": newRecord()}
	var relays, writing sync.WaitGroup
	for cursor, record := range sent {
		for range 2 {
			relays.Go(func() { relay(relaying, t, db, cursor, record) })
		}
	}
	relays.Go(func() { numberAsBefore(relaying, t, db) })
	for w := range writers {
		writing.Go(func() {
			for c := range changes {
				id := ids[rand.IntN(tasks)]
				if _, err := s.Update(t.Context(), id, rename(strconv.Itoa(w)+"."+strconv.Itoa(c))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writing.Wait()
	stop()
	relays.Wait()
	for cursor, record := range sent {
		for n := 100; n == 100; {
			var err error
			if n, err = s.ForwardBatch(t.Context(), cursor, 100, record.send); err != nil {
				t.Fatal(err)
			}
		}
		record.check(t, cursor, tasks+writers*changes)
	}
	if n := must(countWhere(db, `seq IS NULL`)); n != 0 {
		t.Errorf("%d events have no place in the log", n)
	}
}

// numberAsBefore does what a replica does that was deployed before number_events.
func numberAsBefore(ctx context.Context, t *testing.T, db *sqlx.DB) {
	for ctx.Err() == nil {
		err := postgres.InTx(ctx, db, func(tx *sqlx.Tx) error {
			var head int64
			if err := tx.GetContext(ctx, &head, `SELECT head FROM stream FOR UPDATE`); err != nil {
				return err
			}
			_, err := tx.ExecContext(ctx, `
				WITH numbered AS (
					UPDATE events SET seq = $1 + place.n
					FROM (
						SELECT pos, row_number() OVER (ORDER BY pos) AS n
						FROM (SELECT pos FROM events WHERE seq IS NULL ORDER BY pos LIMIT $2) AS unnumbered
					) AS place
					WHERE events.pos = place.pos
					RETURNING seq
				)
				UPDATE stream SET head = $1 + (SELECT count(*) FROM numbered)`, head, 1+rand.IntN(20))
			return err
		})
		if err != nil && ctx.Err() == nil && apperr.Of(postgres.Classify(err)).Kind != apperr.Unavailable {
			t.Errorf("numbering as before: %v", err)
		}
	}
}

// delayCommits makes each transaction that writes an event wait at random, with
// all its locks held, after its last statement and before its commit.
func delayCommits(db *sqlx.DB) {
	db.MustExec(`
		CREATE FUNCTION delay() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN PERFORM pg_sleep(random() * 0.01); RETURN NULL; END $$;
		CREATE CONSTRAINT TRIGGER delay AFTER INSERT ON events
			DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION delay()`)
}

// relay drains until ctx ends. Some of its batches are sent and then not known
// to have been, and some of its transactions are ended while they are sent.
func relay(ctx context.Context, t *testing.T, db *sqlx.DB, cursor string, to *record) {
	s := pgstore.New(db)
	for ctx.Err() == nil {
		unlucky := rand.IntN(8)
		_, err := s.ForwardBatch(ctx, cursor, 1+rand.IntN(20), func(ctx context.Context, batch []task.Announcement) error {
			if err := to.send(ctx, batch); err != nil {
				return err
			}
			switch unlucky {
			case 0:
				return errUnlucky
			case 1:
				_, _ = db.ExecContext(ctx, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
					WHERE datname = current_database() AND state = 'idle in transaction'`) // by a connection that was ended itself, perhaps
			}
			return nil
		})
		if err != nil && ctx.Err() == nil && !errors.Is(err, errUnlucky) && apperr.Of(err).Kind != apperr.Unavailable {
			t.Errorf("%s: %v", cursor, err)
		}
	}
}

var errUnlucky = errors.New("sent, but no answer")

// record is what a reader of the log sees.
type record struct {
	mu       sync.Mutex
	seqs     map[string]int64 // by event, and the other way round
	events   map[int64]string
	versions map[int64]int64 // by task, in order of first occurrence
	wrong    []string
}

func newRecord() *record {
	return &record{seqs: map[string]int64{}, events: map[int64]string{}, versions: map[int64]int64{}}
}

func (r *record) send(_ context.Context, batch []task.Announcement) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, a := range batch {
		if i > 0 && a.Seq != batch[i-1].Seq+1 {
			r.wrong = append(r.wrong, "a batch has a gap")
		}
		seq, seen := r.seqs[a.Event.ID]
		if seen && seq != a.Seq {
			r.wrong = append(r.wrong, "an event has two places")
		}
		if seen {
			continue
		}
		if _, taken := r.events[a.Seq]; taken {
			r.wrong = append(r.wrong, "two events have one place")
		}
		r.seqs[a.Event.ID], r.events[a.Seq] = a.Seq, a.Event.ID
		if r.versions[a.Event.Task.ID]++; r.versions[a.Event.Task.ID] != a.Event.Task.Version {
			r.wrong = append(r.wrong, "a task's event is out of order or lost")
		}
	}
	return nil
}

func (r *record) check(t *testing.T, cursor string, want int) {
	t.Helper()
	for _, wrong := range r.wrong {
		t.Errorf("%s: %s", cursor, wrong)
	}
	for seq := range int64(want) {
		if r.events[seq+1] == "" {
			t.Errorf("%s: nothing was sent at %d", cursor, seq+1)
		}
	}
	if len(r.events) != want {
		t.Errorf("%s: %d events were sent, want %d", cursor, len(r.events), want)
	}
}

func countWhere(db *sqlx.DB, condition string) (n int, err error) {
	return n, db.Get(&n, `SELECT count(*) FROM events WHERE `+condition)
}
