package workload

import (
	"context"
	"math/rand/v2"
	"time"

	"golang.org/x/text/unicode/norm"

	"example.com/todo/scripts/prove/internal/history"
)

const (
	// tryFor bounds one try: longer than the service takes to say that it does
	// not know (its own deadline, and a second to look for the change).
	tryFor = 8 * time.Second
	// patience bounds a call with all its tries.
	patience = 2 * time.Minute
	// The pauses between tries grow to shyness.
	firstPause, shyness = 50 * time.Millisecond, time.Second
)

// client makes one call after another.
type client struct {
	w      *Workload
	number int
	tasks  pool
}

// make makes the call of that number and writes it down.
func (c *client) make(ctx context.Context, number int) {
	p := planOf(c.w.cfg.Seed, number, len(c.w.hot))
	r, t, wasDone := c.aim(&p, number)
	call := &c.w.journal[number]
	*call = history.Call{
		Number: number, Client: c.number, Via: "http", Operation: r.operation, Key: r.key, TaskID: r.id,
		// The service keeps titles in NFC, whatever form a client sends.
		Title:     norm.NFC.String(r.title),
		Abandoned: p.abandon > 0, Began: time.Now(),
	}
	if p.grpc {
		call.Via = "grpc"
	}
	if r.priority != nil {
		call.Priority = *r.priority
	}
	a := c.settle(ctx, p, r, call)
	call.Ended, call.Status, call.Version, call.Done = time.Now(), a.status, a.version, a.done
	if a.id != 0 {
		call.TaskID = a.id
	}
	c.learn(p, call, t, wasDone)
	if call.Outcome == history.Done && call.Operation == history.Complete {
		c.w.completed.Add(1)
	}
	c.w.made.Add(1)
}

// aim chooses the task that a planned call is about. A client that has none for it
// creates one instead.
func (c *client) aim(p *plan, number int) (r request, t own, wasDone bool) {
	hot := p.hot >= 0 && p.operation != history.Create
	switch {
	case p.operation == history.Create:
	case hot && c.w.hot[p.hot].id.Load() != 0:
		t = own{c.w.hot[p.hot].id.Load(), c.w.hot[p.hot].version.Load()}
	default:
		var found bool
		p.hot = -1
		if t, wasDone, found = c.tasks.take(p.operation, p.pick); !found {
			p.operation, p.condition = history.Create, anyVersion
		}
	}
	r = request{operation: p.operation, id: t.id, patch: p.patch}
	switch p.operation {
	case history.Create:
		r.key, r.title, r.priority = key(c.w.cfg.Seed, number), p.title, &p.priority
	case history.Change:
		r.title, r.priority = p.title, &p.priority
	}
	switch {
	case p.condition == current && t.version > 0:
		r.expected = &t.version
	case p.condition == outdated && t.version > 1:
		r.expected = new(t.version - 1)
	}
	return r, t, wasDone
}

// settle tries until the outcome is known, or will not be.
func (c *client) settle(ctx context.Context, p plan, r request, call *history.Call) answer {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	repeatable := r.key != "" || r.expected == nil && (r.operation == history.Complete || r.operation == history.Delete)
	replica, left := p.random.IntN(len(c.w.ways)), false
	for wait := firstPause; ; wait = min(wait*3/2, shyness) {
		replica = c.choose(replica, p.random)
		call.Replica = replica
		call.Tries++
		a := c.try(ctx, p, r, replica, call.Tries == 1)
		switch a.verdict {
		case done:
			call.Outcome = history.Done
			return a
		case refused: // after a try without an answer it may be that try's work that is refused
			call.Outcome = history.Refused
			if left {
				call.Outcome = history.Unknown
			}
			return a
		case open:
			left = true
		}
		if left && !repeatable || !pause(ctx, wait/2+rand.N(wait)) {
			call.Outcome = history.Unknown
			if !left {
				call.Outcome = history.Refused
			}
			return a
		}
		replica = (replica + 1) % len(c.w.ways)
	}
}

// try makes one try at one replica.
func (c *client) try(ctx context.Context, p plan, r request, replica int, first bool) answer {
	to := &c.w.ways[replica]
	within := tryFor
	if first && p.abandon > 0 {
		within = p.abandon
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	c.w.outstanding.Add(1)
	defer c.w.outstanding.Add(-1)
	through := to.web
	if p.grpc {
		through = to.rpc
	}
	a := through.ask(ctx, r)
	switch a.verdict {
	case done, refused, busy:
		if to.silent.CompareAndSwap(true, false) {
			c.w.cfg.Log.Info("a replica answers again", "replica", replica)
		}
	default:
		if within == tryFor && to.silent.CompareAndSwap(false, true) {
			c.w.cfg.Log.Info("a replica does not answer", "replica", replica, "status", a.status)
		}
	}
	return a
}

// choose keeps most tries away from a replica that is silent: with all clients
// waiting for a frozen one there would be no load.
func (c *client) choose(replica int, random *rand.Rand) int {
	if c.w.ways[replica].silent.Load() && random.IntN(10) > 0 {
		return (replica + 1) % len(c.w.ways)
	}
	return replica
}

// learn keeps what the call tells of its task.
func (c *client) learn(p plan, call *history.Call, t own, wasDone bool) {
	if p.hot >= 0 {
		if call.Version > 0 {
			c.w.hot[p.hot].saw(call.Version)
			c.w.hot[p.hot].id.Store(call.TaskID)
		}
		return
	}
	switch {
	case call.Operation == history.Delete && call.Outcome != history.Refused: // gone, or perhaps
	case call.Outcome == history.Done:
		c.tasks.put(own{call.TaskID, call.Version}, call.Done)
	case call.TaskID == 0: // a creation without an answer
	case call.Outcome == history.Refused && (call.Status == "404" || call.Status == "NotFound"):
	default:
		c.tasks.put(own{id: t.id}, wasDone)
	}
}
