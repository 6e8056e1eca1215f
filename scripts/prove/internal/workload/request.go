package workload

import (
	"context"

	"example.com/todo/scripts/prove/internal/history"
)

// request is a request for a change, independent of the transport.
type request struct {
	operation history.Operation
	key       string
	id        int64
	title     string
	priority  *int32
	expected  *int64
	usePatch  bool // complete by an update
}

// result is what one attempt shows about the effect.
type result int

const (
	done      result = iota
	refused          // no effect
	busy             // no effect; the same request may succeed later
	notSent          // the request never left
	ambiguous        // the effect may exist, or may come later
)

// response is the outcome of one attempt.
type response struct {
	result  result
	status  string // as the transport names it
	id      int64
	version int64 // 0 if not shown
	done    bool
}

// transport sends requests to one replica.
type transport interface {
	// send makes one attempt. It returns when there is a response, when there cannot be one, or
	// when ctx ends.
	send(ctx context.Context, r request) response
}
