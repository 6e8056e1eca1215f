package workload

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
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
	tasks  [][]task // by user: those that no other client changes, as last shown
}

// runCall makes the call with that number and records it.
func (c *client) runCall(ctx context.Context, number int) {
	p := newPlan(c.w.cfg.Seed, number, len(c.w.hotTasks), len(c.w.cfg.Users))
	t := c.chooseTask(&p)
	r := newRequest(&p, t)
	call := &c.w.calls[number]
	*call = history.Call{
		Number: number, Client: c.number, User: c.w.cfg.Users[p.user].ID(), Transport: p.transport,
		Operation: p.operation, Key: r.key, TaskID: t.ID, ClientCanceled: p.cancelAfter > 0, Began: time.Now(),
	}
	if r.fields.Title != nil {
		// The service stores titles in NFC, whatever form a client sends.
		call.Title, call.Priority = norm.NFC.String(p.title), p.priority
	}
	resp := c.callUntilResolved(ctx, p, r, call)
	call.Ended, call.Status, call.Version, call.Done = time.Now(), resp.status, resp.task.Version, resp.task.Done
	if resp.task.ID != 0 {
		call.TaskID = resp.task.ID
	}
	c.keepTask(p, call, t)
	c.w.finished.Add(1)
}

// chooseTask chooses the task of a planned call. A client without a suitable task creates one.
func (c *client) chooseTask(p *plan) task {
	if p.operation == history.Create {
		return task{}
	}
	if p.hot >= 0 {
		c.w.mu.Lock()
		defer c.w.mu.Unlock()
		if t := c.w.hotTasks[p.hot]; t.ID != 0 {
			return t
		}
		p.hot = -1
	}
	var suitable []int
	tasks := c.tasks[p.user]
	for i, t := range tasks {
		if p.operation == history.Complete && t.Done || p.operation == history.Reopen && !t.Done {
			continue
		}
		suitable = append(suitable, i)
	}
	if len(suitable) == 0 {
		p.operation = history.Create
		return task{}
	}
	chosen := suitable[p.pick%len(suitable)]
	t := tasks[chosen]
	c.tasks[p.user] = slices.Delete(tasks, chosen, chosen+1)
	return t
}

// newRequest returns the request of a planned call for its task.
func newRequest(p *plan, t task) request {
	r := request{operation: p.operation, id: t.ID}
	switch {
	case p.operation == history.Create:
		r.key = p.key
		r.fields = fields{Title: &p.title, Priority: &p.priority}
	case p.operation == history.Update:
		r.fields = fields{Title: &p.title, Priority: &p.priority}
	case p.operation == history.Complete && p.usePatch || p.operation == history.Reopen:
		r.fields.Done = new(p.operation == history.Complete)
	}
	if p.conditional && t.Version > p.outdated { // a version of 0 is unknown
		r.expected = new(t.Version - p.outdated)
	}
	return r
}

// callUntilResolved makes attempts until the outcome is known, or cannot become known.
func (c *client) callUntilResolved(ctx context.Context, p plan, r request, call *history.Call) response {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	repeatable := r.key != "" || r.expected == nil && (r.operation == history.Complete || r.operation == history.Delete)
	replica, wasAmbiguous := p.random.IntN(len(c.w.endpoints)), false
	for backoff := minBackoff; ; backoff = min(backoff*3/2, maxBackoff) {
		call.Replica = c.preferResponsive(replica, p.random)
		call.Tries++
		resp := c.attempt(ctx, p, r, call)
		if resp.result == done {
			call.Outcome = history.Done
			return resp
		}
		if resp.result == notAdmitted {
			call.Tries--
			call.NotAdmitted++
		}
		wasAmbiguous = wasAmbiguous || resp.result == ambiguous
		mayRepeat := resp.result != refused && (repeatable || !wasAmbiguous)
		if mayRepeat && retry.Wait(ctx, backoff/2+rand.N(backoff)) {
			replica = (call.Replica + 1) % len(c.w.endpoints)
			continue
		}
		call.Outcome = history.Refused
		if wasAmbiguous { // an earlier attempt without a response may be the reason of a refusal
			call.Outcome = history.Unknown
		}
		return resp
	}
}

// attempt makes one attempt at the call's replica, with the session of the call's user.
func (c *client) attempt(ctx context.Context, p plan, r request, call *history.Call) response {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	c.w.outstanding.Add(1)
	defer c.w.outstanding.Add(-1)
	endpoint, user := &c.w.endpoints[call.Replica], c.w.cfg.Users[p.user]
	var err error
	if r.token, err = user.Token(ctx, endpoint.http.addr); err != nil {
		return response{result: notAdmitted, status: err.Error()}
	}
	canceled := call.Tries == 1 && p.cancelAfter > 0
	if canceled {
		ctx, cancel = context.WithTimeout(ctx, p.cancelAfter)
		defer cancel()
	}
	resp := endpoint.transport(p.transport).send(ctx, r)
	name := fmt.Sprintf("%s %s", p.transport, r.operation)
	switch {
	case isSignedOut(resp.status):
		user.Forget(r.token)
	case resp.result == done && resp.task.ID != 0:
		c.w.sightings.add(user, name, call.Replica, resp.task)
	case resp.isServerError && ctx.Err() == nil:
		// The replica learns the deadline of a gRPC call, and may respond at the moment at which the client cancels.
		c.w.recordServerError(call.Replica, name, resp.status)
	}
	responds := resp.result != ambiguous && resp.result != notSent
	if (responds || !canceled) && endpoint.silent.Swap(!responds) == responds {
		c.w.cfg.Log.Info("workload: a replica became silent or responds again",
			"replica", call.Replica, "responds", responds, "status", resp.status)
	}
	return resp
}

// preferResponsive returns the other replica for most attempts while this one is silent.
// Otherwise all clients would wait for a frozen replica, without any load.
func (c *client) preferResponsive(replica int, random *rand.Rand) int {
	if c.w.endpoints[replica].silent.Load() && random.IntN(10) > 0 {
		return (replica + 1) % len(c.w.endpoints)
	}
	return replica
}

// keepTask keeps what the response shows of the task.
func (c *client) keepTask(p plan, call *history.Call, t task) {
	switch {
	case p.hot >= 0:
		if call.Version > 0 {
			c.w.mu.Lock()
			defer c.w.mu.Unlock()
			hot := &c.w.hotTasks[p.hot]
			hot.ID, hot.Version = call.TaskID, max(hot.Version, call.Version)
		}
	case call.Operation == history.Delete && call.Outcome != history.Refused: // deleted, or possibly deleted
	case call.Outcome == history.Done:
		c.tasks[p.user] = append(c.tasks[p.user], task{ID: call.TaskID, Version: call.Version, Done: call.Done})
	case call.TaskID == 0: // a creation without a response
	case call.Outcome == history.Refused && (call.Status == "404" || call.Status == "NotFound"):
	default:
		c.tasks[p.user] = append(c.tasks[p.user], task{ID: t.ID, Done: t.Done})
	}
}
