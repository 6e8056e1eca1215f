package probe

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"example.com/todo/scripts/prove/internal/history"
)

const metricsTimeout = 10 * time.Second

// Collect reads the tables, the topics and the statistics into run. The cluster must be healthy
// and quiescent.
func (p *Probe) Collect(ctx context.Context, run *history.Run) (err error) {
	if err := p.readTables(ctx, run); err != nil {
		return fmt.Errorf("read the tables: %w", err)
	}
	if run.Topic, err = p.readTopic(ctx, topic); err != nil {
		return err
	}
	if run.DLQ, run.Stats, err = p.collectEffects(ctx); err != nil {
		return err
	}
	run.UserReports, err = p.UserReports(ctx)
	return err
}

// CollectReplay reads what is there after the replay: the number of events, the dead letters and
// the statistics.
func (p *Probe) CollectReplay(ctx context.Context, replay *history.Replay) (err error) {
	if err := p.queryRow(ctx, `SELECT count(*) FROM events`, &replay.Events); err != nil {
		return fmt.Errorf("count the events: %w", err)
	}
	if replay.DLQ, replay.Stats, err = p.collectEffects(ctx); err != nil {
		return err
	}
	replay.UserReports, err = p.UserReports(ctx)
	return err
}

func (p *Probe) collectEffects(ctx context.Context) (letters []history.Record, stats []history.StatsReport, err error) {
	if letters, err = p.readTopic(ctx, deadLetterTopic); err != nil {
		return nil, nil, err
	}
	stats, err = p.StatsReports(ctx)
	return letters, stats, err
}

// readTables reads all tables in one snapshot.
func (p *Probe) readTables(ctx context.Context, run *history.Run) error {
	tx, err := p.db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return err
	}
	defer tx.Rollback()
	run.Tasks, err = queryRows(ctx, tx, `SELECT id, title, priority, done, version FROM tasks ORDER BY id`,
		func(t *history.Task) []any { return []any{&t.ID, &t.Title, &t.Priority, &t.Done, &t.Version} })
	if err != nil {
		return err
	}
	if run.Owners, err = queryOwners(ctx, tx); err != nil {
		return err
	}
	run.Events, err = queryRows(ctx, tx,
		`SELECT pos, coalesce(seq, 0), id, type, task_id, title, priority, version, done, coalesce(user_id, 0), at FROM events ORDER BY pos`,
		func(e *history.Event) []any {
			return []any{&e.Pos, &e.Seq, &e.ID, &e.Type, &e.Task.ID, &e.Title, &e.Priority, &e.Version, &e.Done, &e.UserID, &e.At}
		})
	if err != nil {
		return err
	}
	run.Keys, err = queryRows(ctx, tx, `SELECT key, event_id, task_id FROM idempotency_keys ORDER BY key`,
		func(k *history.Key) []any { return []any{&k.Key, &k.EventID, &k.TaskID} })
	return err
}

// queryOwners returns the user of each task that has one.
func queryOwners(ctx context.Context, tx *sql.Tx) (map[int64]int64, error) {
	type owned struct{ task, user int64 }
	rows, err := queryRows(ctx, tx, `SELECT id, user_id FROM tasks WHERE user_id IS NOT NULL`,
		func(o *owned) []any { return []any{&o.task, &o.user} })
	owners := map[int64]int64{}
	for _, o := range rows {
		owners[o.task] = o.user
	}
	return owners, err
}

// queryRows scans every row of a query into a T; columns returns pointers to its fields.
func queryRows[T any](ctx context.Context, tx *sql.Tx, query string, columns func(*T) []any) ([]T, error) {
	found, err := tx.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer found.Close()
	var all []T
	for found.Next() {
		var one T
		if err := found.Scan(columns(&one)...); err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, found.Err()
}

// HandledRecords returns the number of records that a consumer's process is done with, whatever became of them. Its
// metrics at the address ops say it.
func (p *Probe) HandledRecords(ctx context.Context, ops string) (int64, error) {
	const metric = `kafka_consumer_records_total{`
	ctx, cancel := context.WithTimeout(ctx, metricsTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+ops+"/metrics", http.NoBody)
	if err != nil {
		return 0, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	sum, series := 0.0, 0
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), "} ")
		if !strings.HasPrefix(name, metric) {
			continue
		}
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return 0, err
		}
		sum += n
		series++
	}
	if series == 0 {
		return 0, errors.Join(fmt.Errorf("%s: %s has no metric %s", ops, response.Status, metric), lines.Err())
	}
	return int64(sum), lines.Err()
}
