package pgstore_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"example.com/todo/platform/apperr"
	"example.com/todo/platform/testenv"
	"example.com/todo/todo-service/internal/pgstore"
	"example.com/todo/todo-service/internal/task"
)

// refuse makes the server refuse that many writes with this SQLSTATE, and accept later ones.
func refuse(t *testing.T, db *sqlx.DB, code string, times int) {
	t.Helper()
	db.MustExec(`CREATE SEQUENCE refusals`)
	db.MustExec(fmt.Sprintf(`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
			IF nextval('refusals') <= %d THEN RAISE EXCEPTION USING ERRCODE = '%s'; END IF;
			RETURN NEW;
		END $$`, times, code))
	db.MustExec(`CREATE TRIGGER refuse BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION refuse()`)
}

func TestWriteIsStoredOnceAfterRollbacksByTheServer(t *testing.T) {
	t.Parallel()
	for _, write := range writes {
		for _, code := range []string{"40001", "40P01", "53200", "55P03", "57014"} {
			t.Run(write.name+"/"+code, func(t *testing.T) {
				t.Parallel()
				s, p, before := openWarm(t)
				refuse(t, p.direct(t), code, 3)
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				defer cancel()
				wantWrittenOnce(ctx, t, s, write, before)
			})
		}
	}
}

func TestWriteFailsAtOnceWhileTheServerIsReadOnly(t *testing.T) {
	forEachWrite(t, func(t *testing.T, write write, s *pgstore.Store, p *proxy, before task.Task) {
		admin := p.direct(t)
		name := strings.TrimPrefix(p.dsn.Path, "/")
		admin.MustExec(`ALTER DATABASE ` + name + ` SET default_transaction_read_only = on`)
		// New sessions take the setting.
		p.db.SetMaxIdleConns(-1)
		p.db.SetMaxIdleConns(2)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		started := time.Now()
		_, err := write.do(ctx, s, before)
		if err == nil || apperr.Of(err).Kind != apperr.Unavailable || time.Since(started) > 10*time.Second {
			t.Errorf("got %v after %v, want unavailable, at once", err, time.Since(started))
		}
		wantOnce(t, s, before, "before", 1, 1) // reads continue
		admin.MustExec(`SET default_transaction_read_only = off`)
		admin.MustExec(`ALTER DATABASE ` + name + ` RESET default_transaction_read_only`)
		var got task.Task
		testenv.Eventually(t, "writes succeed over the same sessions", func() bool {
			got, err = write.do(ctx, s, before)
			return err == nil
		})
		wantOnce(t, s, got, write.title, write.version, write.tasks)
	})
}

func TestPreparedStatementsSurviveAnAlteredTable(t *testing.T) {
	forEachWrite(t, func(t *testing.T, write write, s *pgstore.Store, p *proxy, before task.Task) {
		must(s.Get(t.Context(), writer, before.ID))
		p.direct(t).MustExec(`
			ALTER TABLE tasks ALTER COLUMN priority TYPE bigint;
			ALTER TABLE events ALTER COLUMN priority TYPE bigint;
			ALTER TABLE idempotency_keys ALTER COLUMN priority TYPE bigint;
			ALTER TABLE idempotency_keys ALTER COLUMN title TYPE varchar`)
		if got, err := s.Get(t.Context(), writer, before.ID); err != nil || got.Title != "before" {
			t.Errorf("reading: %+v, %v", got, err)
		}
		if _, err := s.Create(t.Context(), writer, newEvent("first"), key("warm")); err != nil { // a replay
			t.Errorf("repeating: %v", err)
		}
		wantWrittenOnce(t.Context(), t, s, write, before)
		if _, err := s.ForwardBatch(t.Context(), "kafka", 10, func(context.Context, []task.Announcement) error { return nil }); err != nil {
			t.Errorf("forwarding: %v", err)
		}
	})
}

// The server committed, and a failover would undo the commit: the outcome is unknown.
func TestWriteIsNotAcknowledgedWithoutTheSynchronousStandby(t *testing.T) {
	forEachWrite(t, func(t *testing.T, write write, s *pgstore.Store, p *proxy, before task.Task) {
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		p.unconfirmed.Store(true)
		_, err := write.do(ctx, s, before)
		wantUnavailable(t, err)
		p.unconfirmed.Store(false)
		got, err := write.do(t.Context(), s, before)
		if write.name != "create" && write.name != "delete" && (err != nil || got.Title != write.title) { // these two are not idempotent
			t.Errorf("once the standby is back: %+v, %v", got, err)
		}
	})
}

// The statements rely on nothing that a stricter isolation would not give them.
func TestWritersOfOneTaskSucceedAtEveryIsolationLevel(t *testing.T) {
	t.Parallel()
	for _, level := range []string{"repeatable read", "serializable"} {
		t.Run(level, func(t *testing.T) {
			t.Parallel()
			const writers, each = 10, 4
			dsn := database(t)
			migrate(t, open(t, dsn))
			query := dsn.Query()
			query.Set("default_transaction_isolation", level)
			dsn.RawQuery = query.Encode()
			s := pgstore.New(open(t, dsn))
			before := must(s.Create(t.Context(), writer, newEvent("before"), task.IdempotencyKey{}))
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			var group sync.WaitGroup
			for w := range writers {
				group.Go(func() {
					for i := range each {
						if _, err := s.Update(ctx, writer, before.ID, rename(fmt.Sprint(w, "-", i))); err != nil {
							t.Errorf("update: %v", err)
						}
						if _, err := s.Create(ctx, writer, newEvent("keyed"), key("one")); err != nil {
							t.Errorf("create: %v", err)
						}
						if err := s.AssignSequence(ctx, 100); err != nil {
							t.Errorf("assign sequence: %v", err)
						}
					}
				})
			}
			group.Wait()
			if events := must(s.History(ctx, writer, before.ID, 0, 100)); len(events) != 1+writers*each {
				t.Errorf("%d events, want %d", len(events), 1+writers*each)
			}
			if n := must(s.Count(ctx, writer)).Total; n != 2 {
				t.Errorf("%d tasks, want one more for the key", n)
			}
		})
	}
}

func TestWriteIsUnavailableWhenRolledBackUntilItsDeadline(t *testing.T) {
	forEachWrite(t, func(t *testing.T, write write, s *pgstore.Store, p *proxy, before task.Task) {
		refuse(t, p.direct(t), "40001", 1_000_000)
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		_, err := write.do(ctx, s, before)
		wantUnavailable(t, err)
		wantOnce(t, s, before, "before", 1, 1)
	})
}
