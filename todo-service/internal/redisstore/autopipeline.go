package redisstore

import (
	"context"
	"errors"
	"slices"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"example.com/todo/todo-service/internal/coalesce"
)

const (
	// callTimeout is how long a caller waits for Redis: less than the 50 ms that Redis may
	// cost a request, by what else the request does.
	callTimeout = 40 * time.Millisecond
	// roundTripTimeout bounds a round trip whose callers have left: its end shows that
	// Redis answers again. The client's read timeout, for each answer, may be less.
	roundTripTimeout = time.Second
	// maxRoundTrips is how many round trips are in flight at the same time, at most.
	maxRoundTrips = 4
)

// AutoPipeline batches the Lua scripts of concurrent callers into one pipelined round
// trip. While one round trip is in flight, new callers join the next; equal commands
// run once. A caller's command is always sent after its call began, so it sees every
// earlier write. A batch that has waited for a quarter of callTimeout is sent beside
// the round trips in flight.
//
// A timeout opens a circuit breaker: callers fail at once until Redis answers again. So
// only the callers of the late round trip have waited.
type AutoPipeline struct {
	client  goredis.UniversalClient
	batcher coalesce.Batcher[command, *pipelinedCall]
	breaker breaker
}

// NewAutoPipeline returns an AutoPipeline to the Redis of client. It neither dials nor
// fails.
func NewAutoPipeline(client goredis.UniversalClient) *AutoPipeline {
	p := &AutoPipeline{client: client, breaker: breaker{client: client}}
	p.batcher.Run = p.roundTrip
	p.batcher.OnDone = p.recordOutcome
	p.batcher.MaxInFlight = maxRoundTrips
	p.setTimeout(callTimeout)
	return p
}

func (p *AutoPipeline) setTimeout(timeout time.Duration) {
	p.batcher.Timeout, p.batcher.Linger = timeout, timeout/4
}

// database returns the number of the client's database; a cluster has only 0.
func (p *AutoPipeline) database() int {
	if client, ok := p.client.(*goredis.Client); ok {
		return client.Options().DB
	}
	return 0
}

// command is a script that a caller wants to run. Commands of a batch that are equal,
// by ==, run once.
type command interface {
	// build returns the script's call for that many callers, right before it is sent.
	build(callers int) scriptCall
}

// scriptCall is a call of a script. A pointer to one is a command that no other equals.
type scriptCall struct {
	script *goredis.Script
	keys   []string
	args   []any
	decode func(reply *goredis.Cmd) (any, error)
	// onNoScript runs first in a Redis that does not know script; nil for nothing. If it
	// is refused, script does not run.
	onNoScript *scriptCall
}

func (s *scriptCall) build(int) scriptCall { return *s }

// pipelinedCall is a command's call in a round trip.
type pipelinedCall struct {
	scriptCall
	reply *goredis.Cmd

	value any // the result of decode
	err   error
}

// pending is a command on its way.
type pending struct {
	rejected bool // by the circuit breaker
	ticket   coalesce.Ticket[command, *pipelinedCall]
}

// do runs the command and returns its decoded reply.
func (p *AutoPipeline) do(ctx context.Context, c command) (any, error) {
	return p.start(ctx, c).wait(ctx)
}

// start adds the command to the next round trip, which is sent after this call began.
func (p *AutoPipeline) start(ctx context.Context, c command) pending {
	if p.breaker.isOpen() {
		return pending{rejected: true}
	}
	return pending{ticket: p.batcher.Add(ctx, c)}
}

// wait returns the decoded reply. ctx ends the waiting, not the command.
func (p pending) wait(ctx context.Context) (any, error) {
	if p.rejected {
		return nil, errCircuitOpen
	}
	call, err := p.ticket.Wait(ctx)
	if errors.Is(err, coalesce.ErrTimeout) {
		return nil, errTimeout
	}
	if err != nil {
		return nil, err
	}
	return call.value, call.err
}

// roundTrip sends a batch of commands, and returns their calls with the replies.
func (p *AutoPipeline) roundTrip(ctx context.Context, batch []coalesce.Entry[command]) ([]*pipelinedCall, error) {
	ctx, cancel := context.WithTimeout(ctx, max(roundTripTimeout, p.batcher.Timeout))
	defer cancel()
	calls := make([]*pipelinedCall, len(batch))
	for i, e := range batch {
		calls[i] = &pipelinedCall{scriptCall: e.Key.build(e.Calls)}
	}
	p.exec(ctx, calls, func(pipe goredis.Pipeliner, c *pipelinedCall) {
		c.reply = c.script.EvalSha(ctx, pipe, c.keys, c.args...)
	})

	// A script that Redis does not know is sent once more, as text. After a refusal of
	// onNoScript the text is not sent: other callers would then find the script known.
	var unknown []*pipelinedCall
	for _, c := range calls {
		if err := c.reply.Err(); err != nil && goredis.HasErrorPrefix(err, "NOSCRIPT") {
			unknown = append(unknown, c)
		}
	}
	if len(unknown) > 0 {
		p.exec(ctx, unknown, func(pipe goredis.Pipeliner, c *pipelinedCall) {
			if first := c.onNoScript; first != nil {
				c.reply = first.script.Eval(ctx, pipe, first.keys, first.args...)
			}
		})
		unknown = slices.DeleteFunc(unknown, func(c *pipelinedCall) bool { return c.onNoScript != nil && c.reply.Err() != nil })
		p.exec(ctx, unknown, func(pipe goredis.Pipeliner, c *pipelinedCall) {
			c.reply = c.script.Eval(ctx, pipe, c.keys, c.args...)
		})
	}

	if !slices.ContainsFunc(calls, (*pipelinedCall).isUnanswered) {
		p.breaker.onSuccess() // also when the callers have left
	}
	for _, c := range calls {
		c.decodeReply()
	}
	return calls, nil
}

// recordOutcome opens the breaker after a round trip without an answer, and after a
// timeout: then not once more when that round trip ends.
func (p *AutoPipeline) recordOutcome(ctx context.Context, calls []*pipelinedCall, err error) {
	if errors.Is(err, coalesce.ErrTimeout) || slices.ContainsFunc(calls, (*pipelinedCall).isUnanswered) {
		p.breaker.onFailure(ctx)
	}
}

// exec makes one round trip. Its errors are in the replies.
func (p *AutoPipeline) exec(ctx context.Context, calls []*pipelinedCall, send func(goredis.Pipeliner, *pipelinedCall)) {
	pipe := p.client.Pipeline()
	for _, c := range calls {
		send(pipe, c)
	}
	_, _ = pipe.Exec(ctx)
}

// isUnanswered reports whether there was no reply. An error reply is one: Redis
// refuses at once, so callers may continue to call.
func (c *pipelinedCall) isUnanswered() bool {
	err := c.reply.Err()
	if err == nil {
		return false
	}
	var refused goredis.Error
	return !errors.As(err, &refused)
}

func (c *pipelinedCall) decodeReply() {
	defer coalesce.Recover("decoding a reply of Redis", &c.err)
	c.value, c.err = c.decode(c.reply)
}
