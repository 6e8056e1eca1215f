package task

import "example.com/todo/platform/apperr"

// NotFoundError is the refusal of every store that has no task with this id.
func NotFoundError(id int64) error {
	return apperr.New(apperr.NotFound, "there is no task %d", id)
}

// ContendedError is the refusal of a store that met another writer's change on every
// try until the deadline.
func ContendedError(id int64) error {
	return apperr.New(apperr.Unavailable, "task %d is being changed by too many at once; try again", id)
}

func keyReused() error {
	return invalidKey("stands for another creation; use a new key for this one")
}

func versionMismatch(t Task, expected []int64) error {
	if len(expected) == 1 {
		return apperr.New(apperr.PreconditionFailed, "task %d is at version %d, not %d; read it again", t.ID, t.Version, expected[0])
	}
	return apperr.New(apperr.PreconditionFailed, "task %d is at version %d, which is none of those expected; read it again", t.ID, t.Version)
}
