package workload

import (
	"context"
	"math/rand/v2"
	"time"

	"golang.org/x/text/unicode/norm"

	"example.com/todo/platform/retry"
	"example.com/todo/scripts/prove/internal/history"
)

const (
	// attemptTimeout bounds one attempt. It exceeds the service's own deadline plus the second in
	// which the service resolves an unknown outcome.
	attemptTimeout = 8 * time.Second
	// callTimeout bounds a call with all its attempts.
	callTimeout = 2 * time.Minute
	// The backoff between attempts.
	minBackoff, maxBackoff = 50 * time.Millisecond, time.Second
)

// client makes one call after another.
type client struct {
	w      *Workload
	number int
	tasks  taskPool
}

// runCall makes the call with that number and records it.
func (c *client) runCall(ctx context.Context, number int) {
	p := newPlan(c.w.cfg.Seed, number, len(c.w.hotTasks))
	r, t, wasDone := c.chooseTask(&p, number)
	call := &c.w.calls[number]
	*call = history.Call{
		Number: number, Client: c.number, Transport: "http", Operation: r.operation, Key: r.key, TaskID: r.id,
		// The service stores titles in NFC, whatever form a client sends.
		Title:          norm.NFC.String(r.title),
		ClientCanceled: p.cancelAfter > 0, Began: time.Now(),
	}
	if p.useGRPC {
		call.Transport = "grpc"
	}
	if r.priority != nil {
		call.Priority = *r.priority
	}
	resp := c.callUntilResolved(ctx, p, r, call)
	call.Ended, call.Status, call.Version, call.Done = time.Now(), resp.status, resp.version, resp.done
	if resp.id != 0 {
		call.TaskID = resp.id
	}
	c.updateTasks(p, call, t, wasDone)
	c.w.finished.Add(1)
}

// chooseTask chooses the task of a planned call. A client without a suitable task creates one.
func (c *client) chooseTask(p *plan, number int) (r request, t ownTask, wasDone bool) {
	hot := p.hot >= 0 && p.operation != history.Create
	switch {
	case p.operation == history.Create:
	case hot && c.w.hotTasks[p.hot].id.Load() != 0:
		t = ownTask{c.w.hotTasks[p.hot].id.Load(), c.w.hotTasks[p.hot].version.Load()}
	default:
		var found bool
		p.hot = -1
		if t, wasDone, found = c.tasks.remove(p.operation, p.pick); !found {
			p.operation, p.condition = history.Create, anyVersion
		}
	}
	r = request{operation: p.operation, id: t.id, usePatch: p.usePatch}
	switch p.operation {
	case history.Create:
		r.key, r.title, r.priority = idempotencyKey(c.w.cfg.Seed, number), p.title, &p.priority
	case history.Update:
		r.title, r.priority = p.title, &p.priority
	}
	switch {
	case p.condition == currentVersion && t.version > 0:
		r.expected = &t.version
	case p.condition == outdatedVersion && t.version > 1:
		r.expected = new(t.version - 1)
	}
	return r, t, wasDone
}

// callUntilResolved makes attempts until the outcome is known, or cannot become known.
func (c *client) callUntilResolved(ctx context.Context, p plan, r request, call *history.Call) response {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	repeatable := r.key != "" || r.expected == nil && (r.operation == history.Complete || r.operation == history.Delete)
	replica, wasAmbiguous := p.random.IntN(len(c.w.endpoints)), false
	for backoff := minBackoff; ; backoff = min(backoff*3/2, maxBackoff) {
		replica = c.chooseReplica(replica, p.random)
		call.Replica = replica
		call.Tries++
		resp := c.attempt(ctx, p, r, replica, call.Tries == 1)
		switch resp.result {
		case done:
			call.Outcome = history.Done
			return resp
		case refused: // an earlier attempt without a response may be the reason
			call.Outcome = history.Refused
			if wasAmbiguous {
				call.Outcome = history.Unknown
			}
			return resp
		case ambiguous:
			wasAmbiguous = true
		}
		if wasAmbiguous && !repeatable || !retry.Wait(ctx, backoff/2+rand.N(backoff)) {
			call.Outcome = history.Unknown
			if !wasAmbiguous {
				call.Outcome = history.Refused
			}
			return resp
		}
		replica = (replica + 1) % len(c.w.endpoints)
	}
}

// attempt makes one attempt at one replica.
func (c *client) attempt(ctx context.Context, p plan, r request, replica int, first bool) response {
	endpoint := &c.w.endpoints[replica]
	timeout := attemptTimeout
	if first && p.cancelAfter > 0 {
		timeout = p.cancelAfter
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	c.w.outstanding.Add(1)
	defer c.w.outstanding.Add(-1)
	via := endpoint.http
	if p.useGRPC {
		via = endpoint.grpc
	}
	resp := via.send(ctx, r)
	switch resp.result {
	case done, refused, busy:
		if endpoint.silent.CompareAndSwap(true, false) {
			c.w.cfg.Log.Info("workload: replica responds again", "replica", replica)
		}
	default:
		if timeout == attemptTimeout && endpoint.silent.CompareAndSwap(false, true) {
			c.w.cfg.Log.Info("workload: replica does not respond, preferring the other", "replica", replica, "status", resp.status)
		}
	}
	return resp
}

// chooseReplica sends most attempts to the other replica while one is silent. Otherwise all
// clients would backoff for a frozen replica, without any load.
func (c *client) chooseReplica(replica int, random *rand.Rand) int {
	if c.w.endpoints[replica].silent.Load() && random.IntN(10) > 0 {
		return (replica + 1) % len(c.w.endpoints)
	}
	return replica
}

// updateTasks keeps what the response shows of the task.
func (c *client) updateTasks(p plan, call *history.Call, t ownTask, wasDone bool) {
	if p.hot >= 0 {
		if call.Version > 0 {
			c.w.hotTasks[p.hot].raiseVersion(call.Version)
			c.w.hotTasks[p.hot].id.Store(call.TaskID)
		}
		return
	}
	switch {
	case call.Operation == history.Delete && call.Outcome != history.Refused: // deleted, or possibly deleted
	case call.Outcome == history.Done:
		c.tasks.add(ownTask{call.TaskID, call.Version}, call.Done)
	case call.TaskID == 0: // a creation without a response
	case call.Outcome == history.Refused && (call.Status == "404" || call.Status == "NotFound"):
	default:
		c.tasks.add(ownTask{id: t.id}, wasDone)
	}
}
