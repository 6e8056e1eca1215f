package pgstore

import (
	"context"
	"sync"
	"time"

	"github.com/lib/pq"

	"example.com/todo/platform/postgres"
	"example.com/todo/todo-service/internal/task"
)

const (
	abreast    = 2               // queries at once, so that one on a dead connection does not hold up everybody
	lookupTime = 5 * time.Second // one query, which no caller's deadline bounds
)

// lookup finds tasks for many callers by few queries. Those who come while enough
// of them are under way share the next one. It begins after they have asked: what
// was committed before that they see.
type lookup struct {
	fetch func(ctx context.Context, ids []int64) (map[int64]task.Task, error)

	mu    sync.Mutex
	next  *sharedQuery // nil when nobody waits
	under int          // queries under way
}

type sharedQuery struct {
	ids  []int64
	done chan struct{}

	tasks map[int64]task.Task // these two once it is done
	err   error
}

// get returns the task, or task.NotFound. ctx ends the waiting, not the query.
func (l *lookup) get(ctx context.Context, id int64) (task.Task, error) {
	q := l.join(ctx, id)
	select {
	case <-q.done:
	case <-ctx.Done():
		return task.Task{}, postgres.Fault(ctx.Err())
	}
	if q.err != nil {
		return task.Task{}, postgres.Fault(q.err)
	}
	found, ok := q.tasks[id]
	if !ok {
		return task.Task{}, task.NotFound(id)
	}
	return found, nil
}

func (l *lookup) join(ctx context.Context, id int64) *sharedQuery {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.next == nil {
		l.next = &sharedQuery{done: make(chan struct{})}
	}
	q := l.next
	q.ids = append(q.ids, id)
	if l.under < abreast {
		l.under++
		go l.run(context.WithoutCancel(ctx))
	}
	return q
}

// run makes queries as long as somebody waits.
func (l *lookup) run(ctx context.Context) {
	for q := l.begin(); q != nil; q = l.begin() {
		bounded, cancel := context.WithTimeout(ctx, lookupTime)
		q.tasks, q.err = l.fetch(bounded, q.ids)
		cancel()
		close(q.done)
	}
}

func (l *lookup) begin() *sharedQuery {
	l.mu.Lock()
	defer l.mu.Unlock()
	q := l.next
	l.next = nil
	if q == nil {
		l.under--
	}
	return q
}

func (s *Store) fetch(ctx context.Context, ids []int64) (map[int64]task.Task, error) {
	var rows []taskRow
	if err := s.selectAll(ctx, &rows, `SELECT `+taskColumns+` FROM tasks WHERE id = ANY($1)`, pq.Int64Array(ids)); err != nil {
		return nil, err
	}
	tasks := make(map[int64]task.Task, len(rows))
	for _, row := range rows {
		tasks[row.ID] = row.task()
	}
	return tasks, nil
}
