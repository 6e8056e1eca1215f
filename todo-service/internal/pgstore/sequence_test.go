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

// Writers change a few tasks concurrently, with random delays before their commits. Two
// relays advance each cursor, and fail or lose their transactions at random. Readers of
// what they send still see every event, and each task's events in order.
func TestForwardBatchLosesAndReordersNothingWithTwoRelaysAndLateCommits(t *testing.T) {
	t.Parallel()
	const writers, changes, tasks = 8, 40, 4
	db := migrated(t)
	delayCommits(db)
	s := pgstore.New(db)
	var ids []int64
	for range tasks {
		ids = append(ids, must(s.Create(t.Context(), task.NoOwner, newEvent("0"), task.IdempotencyKey{})).ID)
	}

	relaying, stop := context.WithCancel(t.Context())
	sent := map[string]*record{"kafka": newRecord(), "live": newRecord()}
	var relays, writing sync.WaitGroup
	for cursor, record := range sent {
		for range 2 {
			relays.Go(func() { relay(relaying, t, db, cursor, record) })
		}
	}
	relays.Go(func() { assignSequenceAsBefore(relaying, t, db) })
	for w := range writers {
		writing.Go(func() {
			for c := range changes {
				id := ids[rand.IntN(tasks)]
				if _, err := s.Update(t.Context(), task.NoOwner, id, rename(strconv.Itoa(w)+"."+strconv.Itoa(c))); err != nil {
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
		t.Errorf("%d events have no seq", n)
	}
}

// assignSequenceAsBefore is the sequencer of a replica of a version before number_events.
func assignSequenceAsBefore(ctx context.Context, t *testing.T, db *sqlx.DB) {
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
			t.Errorf("assign sequence as before: %v", err)
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

// relay forwards batches until ctx ends. Some batches are sent without a response, and
// some transactions are ended while their batch is sent.
func relay(ctx context.Context, t *testing.T, db *sqlx.DB, cursor string, to *record) {
	s := pgstore.New(db)
	for ctx.Err() == nil {
		failure := rand.IntN(8)
		_, err := s.ForwardBatch(ctx, cursor, 1+rand.IntN(20), func(ctx context.Context, batch []task.Announcement) error {
			if err := to.send(ctx, batch); err != nil {
				return err
			}
			switch failure {
			case 0:
				return errNoResponse
			case 1:
				_, _ = db.ExecContext(ctx, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
					WHERE datname = current_database() AND state = 'idle in transaction'`) // perhaps over a connection that was ended too
			}
			return nil
		})
		if err != nil && ctx.Err() == nil && !errors.Is(err, errNoResponse) && apperr.Of(err).Kind != apperr.Unavailable {
			t.Errorf("%s: %v", cursor, err)
		}
	}
}

var errNoResponse = errors.New("sent, without a response")

// record is what a reader of the event log sees.
type record struct {
	mu       sync.Mutex
	seqs     map[string]int64 // by event; events is the inverse
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
			r.wrong = append(r.wrong, "an event has two seqs")
		}
		if seen {
			continue
		}
		if _, taken := r.events[a.Seq]; taken {
			r.wrong = append(r.wrong, "two events have one seq")
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
			t.Errorf("%s: no event was sent with seq %d", cursor, seq+1)
		}
	}
	if len(r.events) != want {
		t.Errorf("%s: %d events were sent, want %d", cursor, len(r.events), want)
	}
}

func countWhere(db *sqlx.DB, condition string) (n int, err error) {
	return n, db.Get(&n, `SELECT count(*) FROM events WHERE `+condition)
}
