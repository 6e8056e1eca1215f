package pgstore

import (
	"context"

	"github.com/lib/pq"

	"example.com/todo/platform/postgres"
	"example.com/todo/todo-service/internal/coalesce"
	"example.com/todo/todo-service/internal/task"
)

// Get returns the task, or task.NotFoundError. Concurrent calls share a query.
func (s *Store) Get(ctx context.Context, id int64) (task.Task, error) {
	found, err := s.getBatcher.Do(ctx, id)
	if err != nil {
		return task.Task{}, postgres.Classify(err)
	}
	if found == nil {
		return task.Task{}, task.NotFoundError(id)
	}
	return *found, nil
}

// getBatch returns the task for each id, nil where there is none.
func (s *Store) getBatch(ctx context.Context, batch []coalesce.Entry[int64]) ([]*task.Task, error) {
	ctx, cancel := context.WithTimeout(ctx, batchTimeout)
	defer cancel()
	ids := coalesce.Keys(batch)
	var rows []taskRow
	if err := s.selectAll(ctx, &rows, `SELECT `+taskColumns+` FROM tasks WHERE id = ANY($1)`, pq.Int64Array(ids)); err != nil {
		return nil, err
	}
	byID := make(map[int64]*task.Task, len(rows))
	for _, row := range rows {
		t := row.task()
		byID[t.ID] = &t
	}
	found := make([]*task.Task, len(ids))
	for i, id := range ids {
		found[i] = byID[id]
	}
	return found, nil
}
