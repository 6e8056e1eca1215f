package task

import "example.com/todo/platform/fault"

// NotFound is the refusal of every store that has no task with this id.
func NotFound(id int64) error {
	return fault.New(fault.NotFound, "there is no task %d", id)
}

// Contended is the refusal of a store that met another writer's change on every
// try until the deadline.
func Contended(id int64) error {
	return fault.New(fault.Unavailable, "task %d is being changed by too many at once; try again", id)
}

func keyTaken() error {
	return badKey("stands for another creation; use a new key for this one")
}

func stale(t Task, expected []int64) error {
	if len(expected) == 1 {
		return fault.New(fault.Stale, "task %d is at version %d, not %d; read it again", t.ID, t.Version, expected[0])
	}
	return fault.New(fault.Stale, "task %d is at version %d, which is none of those expected; read it again", t.ID, t.Version)
}
