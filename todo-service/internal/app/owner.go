package app

import (
	"context"

	"example.com/todo/platform/session"
	"example.com/todo/todo-service/internal/task"
)

// ownerFrom returns the owner of the tasks that a request with this context reads and
// writes: its user or, without sign-in, task.NoOwner.
func ownerFrom(ctx context.Context) task.Owner { return task.Owner(session.UserFrom(ctx).ID) }
