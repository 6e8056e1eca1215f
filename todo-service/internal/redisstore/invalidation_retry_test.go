package redisstore_test

import (
	"context"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.com/todo/todo-service/internal/listcache"
	"example.com/todo/todo-service/internal/redisstore"
)

// alone is a history of writes and reads in one process, whose Redis is cut off
// and slow now and then. The list is a number that each write raises.
type alone struct {
	cache *redisstore.ListCache

	stored      atomic.Int64 // the committed list
	answered    atomic.Int64 // what every later read has to show at least
	unconfirmed atomic.Int64

	reads, hits, stale atomic.Int64
}

// write is answered whether Redis confirmed or not.
func (a *alone) write(ctx context.Context) {
	version := a.stored.Add(1)
	if a.cache.Invalidate(ctx, "") != nil {
		a.unconfirmed.Add(1)
	}
	for last := a.answered.Load(); last < version && !a.answered.CompareAndSwap(last, version); last = a.answered.Load() {
	}
	pass(rand.N(30 * time.Millisecond))
}

func (a *alone) read(ctx context.Context) {
	oldest := a.answered.Load()
	if rand.N(2) == 0 {
		ctx = a.cache.Prefetch(ctx)
	}
	got, err := a.cache.Load(ctx, a.query)
	if err != nil {
		return
	}
	a.reads.Add(1)
	if got.Hit {
		a.hits.Add(1)
	}
	if version, err := strconv.ParseInt(string(got.Body), 10, 64); err != nil || version < oldest {
		a.stale.Add(1)
	}
}

func (a *alone) query(context.Context) (listcache.Entry, error) {
	version := strconv.FormatInt(a.stored.Load(), 10)
	pass(rand.N(2 * time.Millisecond))
	return listcache.Entry{Body: []byte(version), ETag: version}, nil
}

// Here the breaker opens and closes, and what is owed is made good.
func TestAProcessShowsItsOwnWritesConfirmedOrNot(t *testing.T) {
	t.Parallel()
	s := open(t, startRedis(t).addr)
	s.wire.after = func() {
		pass(rand.N(2 * time.Millisecond))
		if rand.N(30) == 0 {
			pass(30*time.Millisecond + rand.N(40*time.Millisecond))
		}
	}
	a := &alone{cache: redisstore.NewListCache(s.shuttle, s.prefix, s.log(), nil)}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	var all sync.WaitGroup
	repeat := func(step func(context.Context)) {
		all.Go(func() {
			for ctx.Err() == nil {
				step(t.Context())
			}
		})
	}
	for range 4 {
		repeat(a.write)
	}
	for range 20 {
		repeat(a.read)
	}
	repeat(func(context.Context) {
		pass(rand.N(300 * time.Millisecond))
		s.wire.cut.Store(true)
		pass(rand.N(30 * time.Millisecond))
		s.wire.cut.Store(false)
	})
	all.Wait()
	reads, hits, unconfirmed := a.reads.Load(), a.hits.Load(), a.unconfirmed.Load()
	t.Logf("%d reads, %d of them hits; %d writes, %d of them unconfirmed", reads, hits, a.stored.Load(), unconfirmed)
	if stale := a.stale.Load(); stale > 0 {
		t.Errorf("%d of %d reads were older than a write answered before", stale, reads)
	}
	if hits == 0 || unconfirmed == 0 {
		t.Errorf("%d hits and %d unconfirmed writes: this proves nothing", hits, unconfirmed)
	}
}
