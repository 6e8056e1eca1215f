package workload

import (
	"context"

	"example.com/todo/scripts/prove/internal/history"
)

// newRequest is what is asked for, whichever way it goes.
type request struct {
	operation history.Operation
	key       string
	id        int64
	title     string
	priority  *int32
	expected  *int64
	usePatch  bool // complete by the general way of changing a task
}

// result is what one try tells.
type result int

const (
	done      result = iota
	refused          // and nothing was done
	busy             // nothing was done, and the same may pass later
	notSent          // the request never left
	ambiguous        // it may have been done, or may be done yet
)

// response is what came of one try.
type response struct {
	result  result
	status  string // as the transport names it
	id      int64
	version int64 // 0: not shown
	done    bool
}

// transport is one way into a replica.
type transport interface {
	// send makes one try, and returns when there is an answer, when there will be
	// none, or when ctx ends.
	send(ctx context.Context, r request) response
}
