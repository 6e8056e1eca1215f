package probe

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"example.com/todo/scripts/prove/internal/history"
)

const statsTimeout = 10 * time.Second

// Collect reads the tables, the topics and the statistics into run. The cluster must be healthy
// and quiescent.
func (p *Probe) Collect(ctx context.Context, run *history.Run) (err error) {
	if err := p.readTables(ctx, run); err != nil {
		return fmt.Errorf("read the tables: %w", err)
	}
	if run.Topic, err = p.readTopic(ctx, topic); err != nil {
		return err
	}
	run.DLQ, run.Stats, err = p.collectEffects(ctx)
	return err
}

// CollectReplay reads what is there after the replay: the number of events, the dead letters and
// the statistics.
func (p *Probe) CollectReplay(ctx context.Context, replay *history.Replay) (err error) {
	if err := p.queryRow(ctx, `SELECT count(*) FROM events`, &replay.Events); err != nil {
		return fmt.Errorf("count the events: %w", err)
	}
	replay.DLQ, replay.Stats, err = p.collectEffects(ctx)
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
	run.Events, err = queryRows(ctx, tx,
		`SELECT pos, coalesce(seq, 0), id, type, task_id, title, priority, version, done, at FROM events ORDER BY pos`,
		func(e *history.Event) []any {
			return []any{&e.Pos, &e.Seq, &e.ID, &e.Type, &e.Task.ID, &e.Title, &e.Priority, &e.Version, &e.Done, &e.At}
		})
	if err != nil {
		return err
	}
	run.Keys, err = queryRows(ctx, tx, `SELECT key, event_id, task_id FROM idempotency_keys ORDER BY key`,
		func(k *history.Key) []any { return []any{&k.Key, &k.EventID, &k.TaskID} })
	return err
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
	ctx, cancel := context.WithTimeout(ctx, statsTimeout)
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

// StatsReports requests GET /stats of every replica of stats-service.
func (p *Probe) StatsReports(ctx context.Context) ([]history.StatsReport, error) {
	var all []history.StatsReport
	for i, addr := range p.Stats {
		r, err := readStats(ctx, addr)
		if err != nil {
			return nil, fmt.Errorf("GET /stats of %s: %w", addr, err)
		}
		r.Replica = i + 1
		all = append(all, r)
	}
	return all, nil
}

func readStats(ctx context.Context, addr string) (r history.StatsReport, err error) {
	ctx, cancel := context.WithTimeout(ctx, statsTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/stats?days=366", http.NoBody)
	if err != nil {
		return r, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return r, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return r, errors.New(response.Status)
	}
	body := struct {
		Total int64 `json:"completed_total"`
		ByDay []struct {
			Day       string
			Completed int64
		} `json:"by_day"`
		Lag      int64
		Complete bool
	}{Lag: -1} // null while it is unknown
	err = json.NewDecoder(response.Body).Decode(&body)
	r = history.StatsReport{Total: body.Total, ByDay: map[string]int64{}, Lag: body.Lag, Complete: body.Complete}
	for _, day := range body.ByDay {
		r.ByDay[day.Day] += day.Completed
	}
	return r, err
}
