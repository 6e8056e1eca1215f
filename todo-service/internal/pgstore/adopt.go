package pgstore

import (
	"context"

	"example.com/todo/platform/postgres"
	"example.com/todo/todo-service/internal/task"
)

// adoptBatch is how many rows one statement of Adopt changes. Writers and the sequencer
// wait for no more than that.
const adoptBatch = 1000

// The rows without an owner behind a position, in the order of the primary key.
const (
	adoptTasks = `WITH adopted AS (
			UPDATE tasks SET user_id = $1 WHERE id = ANY(ARRAY(
				SELECT id FROM tasks WHERE id > $2 AND user_id IS NULL ORDER BY id LIMIT $3
			)) AND user_id IS NULL RETURNING id
		)
		SELECT count(*) AS rows, coalesce(max(id), 0) AS last FROM adopted`

	adoptEvents = `WITH adopted AS (
			UPDATE events SET user_id = $1 WHERE pos = ANY(ARRAY(
				SELECT pos FROM events WHERE pos > $2 AND user_id IS NULL ORDER BY pos LIMIT $3
			)) AND user_id IS NULL RETURNING pos
		)
		SELECT count(*) AS rows, coalesce(max(pos), 0) AS last FROM adopted`
)

// Adopt makes the owner, a user, the owner of every task without one and of their stored
// events, those of deleted tasks included. It changes no version and stores no event. It
// returns how many tasks it changed. It works in batches: after an error a part may have
// been adopted, and another call continues.
//
// No replica may write tasks without an owner meanwhile. The owner's cached list and
// counts are not invalidated.
func (s *Store) Adopt(ctx context.Context, owner task.Owner) (tasks int64, err error) {
	// Tasks first: a task that has an owner gets no further event without one.
	tasks, err = s.adoptAll(ctx, adoptTasks, owner)
	if err == nil {
		_, err = s.adoptAll(ctx, adoptEvents, owner)
	}
	return tasks, postgres.Classify(err)
}

// adoptAll executes the statement for one batch after another, until none is left.
func (s *Store) adoptAll(ctx context.Context, statement string, owner task.Owner) (adopted int64, err error) {
	for last := int64(0); ; {
		var batch struct{ Rows, Last int64 }
		err := s.selectOne(ctx, &batch, statement, int64(owner), last, adoptBatch)
		if err != nil || batch.Rows == 0 {
			return adopted, err
		}
		adopted, last = adopted+batch.Rows, batch.Last
	}
}
