package pgstore

import (
	"context"

	"github.com/lib/pq"

	"example.com/todo/platform/postgres"
	"example.com/todo/todo-service/internal/coalesce"
	"example.com/todo/todo-service/internal/task"
)

// ownedID identifies a task as its owner knows it.
type ownedID struct {
	owner task.Owner
	id    int64
}

// Get returns the task, or task.NotFoundError. Concurrent calls share a query.
func (s *Store) Get(ctx context.Context, owner task.Owner, id int64) (task.Task, error) {
	found, err := s.getBatcher.Do(ctx, ownedID{owner, id})
	if err != nil {
		return task.Task{}, postgres.Classify(err)
	}
	if found == nil {
		return task.Task{}, task.NotFoundError(id)
	}
	return *found, nil
}

// getTasks answers for a task of another owner as for one that does not exist.
const getTasks = `SELECT ` + ownerColumn + `, ` + taskColumns + ` FROM tasks WHERE id = ANY($1) AND coalesce(user_id, 0) = ANY($2)`

// getBatch returns the task for each id, nil where its owner has none.
func (s *Store) getBatch(ctx context.Context, batch []coalesce.Entry[ownedID]) ([]*task.Task, error) {
	ctx, cancel := context.WithTimeout(ctx, batchTimeout)
	defer cancel()
	wanted := coalesce.Keys(batch)
	ids, owners := make(pq.Int64Array, len(wanted)), make(pq.Int64Array, len(wanted))
	for i, w := range wanted {
		ids[i], owners[i] = w.id, int64(w.owner)
	}
	var rows []struct {
		Owner task.Owner `db:"owner"`
		taskRow
	}
	if err := s.selectAll(ctx, &rows, getTasks, ids, owners); err != nil {
		return nil, err
	}
	// The batch may want a task for one owner that belongs to another owner of the batch.
	stored := make(map[ownedID]*task.Task, len(rows))
	for _, row := range rows {
		t := row.task()
		stored[ownedID{row.Owner, t.ID}] = &t
	}
	found := make([]*task.Task, len(wanted))
	for i, w := range wanted {
		found[i] = stored[w]
	}
	return found, nil
}
