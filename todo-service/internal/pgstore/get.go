package pgstore

import (
	"context"

	"github.com/lib/pq"

	"example.com/todo/platform/postgres"
	"example.com/todo/todo-service/internal/task"
)

// Get returns the task, or task.NotFound. It shares its query with others.
func (s *Store) Get(ctx context.Context, id int64) (task.Task, error) {
	found, err := s.lookups.do(ctx, id)
	if err != nil {
		return task.Task{}, postgres.Classify(err)
	}
	t, ok := found[id]
	if !ok {
		return task.Task{}, task.NotFoundError(id)
	}
	return t, nil
}

func (s *Store) lookup(ctx context.Context, ids []int64) (map[int64]task.Task, error) {
	ctx, cancel := context.WithTimeout(ctx, batchTimeout)
	defer cancel()
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
