package redisstore

import (
	"context"
	"sync"
	"time"

	"example.com/todo/todo-service/internal/listcache"
)

// turnTimeout bounds a turn, which no reader's deadline does.
const turnTimeout = 5 * time.Second

// turns lets readers share queries, and never answers one with a query that a
// confirmed write has overtaken. There is at most one query for each generation,
// and one for all readers who could not read it.
type turns struct {
	mu      sync.Mutex
	running map[string]*turn // by the generation that was noted before; "" for none
	waiting *turn            // without a generation: begins when the running one ends
}

// turn is one query and the readers that share it.
type turn struct {
	noted string
	work  func() (listcache.Entry, error)
	done  chan struct{}

	list listcache.Entry // these two once done is closed
	err  error
}

// take returns the list by a turn that this reader may share: one before which
// the generation was noted that the reader has read itself, so that no write was
// confirmed in between, or one that has not begun. Otherwise there is a new turn,
// to do work. The reader's ctx ends its waiting, not the turn.
func (ts *turns) take(ctx context.Context, generation string, work func(context.Context) (listcache.Entry, error)) (listcache.Entry, error) {
	t := ts.join(generation, func() (listcache.Entry, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), turnTimeout)
		defer cancel()
		return work(ctx)
	})
	select {
	case <-t.done:
		return t.list, t.err
	case <-ctx.Done():
		return listcache.Entry{}, ctx.Err()
	}
}

func (ts *turns) join(generation string, work func() (listcache.Entry, error)) *turn {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	t, underWay := ts.running[generation]
	switch {
	case underWay && generation != "":
		return t
	case underWay && ts.waiting != nil:
		return ts.waiting
	}
	t = &turn{noted: generation, work: work, done: make(chan struct{})}
	if underWay {
		ts.waiting = t
	} else {
		ts.begin(t)
	}
	return t
}

// begin runs the turn, and then the one that waits for its end. The caller holds
// mu.
func (ts *turns) begin(t *turn) {
	if ts.running == nil {
		ts.running = make(map[string]*turn)
	}
	ts.running[t.noted] = t
	go func() {
		t.run()
		ts.mu.Lock()
		defer ts.mu.Unlock()
		delete(ts.running, t.noted)
		if next := ts.waiting; next != nil && t.noted == "" {
			ts.waiting = nil
			ts.begin(next)
		}
		close(t.done)
	}()
}

func (t *turn) run() {
	defer recovered("the list query", &t.err)
	t.list, t.err = t.work()
}
