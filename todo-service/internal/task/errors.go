package task

import "example.com/todo/platform/apperr"

// NotFoundError returns the error of every store for a task that does not exist.
func NotFoundError(id int64) error {
	return apperr.New(apperr.NotFound, "there is no task %d", id)
}

// ContendedError returns the error of a store that met another writer's change on every
// attempt until the deadline.
func ContendedError(id int64) error {
	return apperr.New(apperr.Unavailable, "task %d is being changed by too many requests at once; try again", id)
}

func versionMismatch(t Task, expected []int64) error {
	if len(expected) == 1 {
		return apperr.New(apperr.PreconditionFailed, "task %d is at version %d, not %d; read it again", t.ID, t.Version, expected[0])
	}
	return apperr.New(apperr.PreconditionFailed, "task %d is at version %d, which is not one of the expected versions; read it again", t.ID, t.Version)
}
