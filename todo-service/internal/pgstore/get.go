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

// The queries answer for a task of another owner as for one that does not exist. PostgreSQL
// keeps the plan of those for one task, and plans each execution of those for several.
const (
	getOne        = `SELECT ` + ownerColumn + `, ` + taskColumns + ` FROM tasks WHERE id = $1 AND `
	getOneUnowned = getOne + `user_id IS NULL`
	getOneOwned   = getOne + `user_id = $2`
	getAll        = `SELECT ` + ownerColumn + `, ` + taskColumns + ` FROM tasks WHERE id = ANY($1) AND `
	getAllUnowned = getAll + `user_id IS NULL`
	getAllOwned   = getAll + `user_id = ANY($2)`
)

// getBatch returns the task for each id, nil where its owner has none.
func (s *Store) getBatch(ctx context.Context, batch []coalesce.Entry[ownedID]) ([]*task.Task, error) {
	ctx, cancel := context.WithTimeout(ctx, batchTimeout)
	defer cancel()
	wanted := coalesce.Keys(batch)
	// The batch may want a task for one owner that belongs to another owner of the batch.
	stored := make(map[ownedID]*task.Task, len(wanted))
	var unowned, owned, owners pq.Int64Array
	for _, w := range wanted {
		if w.owner == task.NoOwner {
			unowned = append(unowned, w.id)
		} else {
			owned, owners = append(owned, w.id), append(owners, int64(w.owner))
		}
	}
	var err error
	switch {
	case len(wanted) == 1 && len(unowned) == 1:
		err = s.getInto(ctx, stored, getOneUnowned, unowned[0])
	case len(wanted) == 1:
		err = s.getInto(ctx, stored, getOneOwned, owned[0], owners[0])
	default:
		if len(unowned) > 0 {
			err = s.getInto(ctx, stored, getAllUnowned, unowned)
		}
		if err == nil && len(owned) > 0 {
			err = s.getInto(ctx, stored, getAllOwned, owned, owners)
		}
	}
	if err != nil {
		return nil, err
	}
	found := make([]*task.Task, len(wanted))
	for i, w := range wanted {
		found[i] = stored[w]
	}
	return found, nil
}

// getInto adds the tasks that a query returns.
func (s *Store) getInto(ctx context.Context, stored map[ownedID]*task.Task, query string, args ...any) error {
	var rows []struct {
		Owner task.Owner `db:"owner"`
		taskRow
	}
	if err := s.selectAll(ctx, &rows, query, args...); err != nil {
		return err
	}
	for _, row := range rows {
		t := row.task()
		stored[ownedID{row.Owner, t.ID}] = &t
	}
	return nil
}
