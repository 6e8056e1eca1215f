package workload

import (
	"context"

	"example.com/todo/scripts/prove/internal/history"
)

// request is what is asked for, whichever way it goes.
type request struct {
	operation history.Operation
	key       string
	id        int64
	title     string
	priority  *int32
	expected  *int64
	patch     bool // complete by the general way of changing a task
}

// verdict is what one try tells.
type verdict int

const (
	done    verdict = iota
	refused         // and nothing was done
	busy            // nothing was done, and the same may pass later
	unsent          // the request never left
	open            // it may have been done, or may be done yet
)

// answer is what came of one try.
type answer struct {
	verdict verdict
	status  string // as the transport names it
	id      int64
	version int64 // 0: not shown
	done    bool
}

// door is one way into a replica.
type door interface {
	// ask makes one try, and returns when there is an answer, when there will be
	// none, or when ctx ends.
	ask(ctx context.Context, r request) answer
}
