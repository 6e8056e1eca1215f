package redisstore

import (
	"context"
	"fmt"
	"hash/crc32"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	goredis "github.com/redis/go-redis/v9"

	"example.com/todo/todo-service/internal/listcache"
)

const listTTL = 300 // seconds

// ListCache keeps the answer to the unfiltered list beside the database.
//
// A list is stored only under the generation that was noted before its query
// began, and every write replaces the generation: a list that a write has
// overtaken is refused. Generations are random, so that none comes back after a
// flush or an eviction, and they have no lifetime: one that vanished only
// refuses fills.
type ListCache struct {
	pipeline     *AutoPipeline
	keys         []string        // list, beside, generation, confirmed events: the KEYS of every script
	lookupScript *goredis.Script // for these keys alone: who runs it first in a Redis forgets what is there
	turns        turns
	outage       outage

	committed committedEvents

	// Invalidations that failed, and how many of those a later one made good.
	// While they differ this process does not trust the cache.
	failedInvalidations, recoveredInvalidations atomic.Int64

	localCopy     atomic.Pointer[localCopy] // of the list that was last read from Redis
	corruptLogged atomic.Int64              // when, in Unix nanoseconds

	hits, misses, errors, refusedFills, unconfirmed prometheus.Counter
}

// NewListCache returns the cache whose keys begin with prefix. It neither dials
// nor fails: a Redis that is away is met call by call.
func NewListCache(shuttle *AutoPipeline, prefix string, log *slog.Logger, reg prometheus.Registerer) *ListCache {
	metrics := promauto.With(reg)
	counter := func(name, help string) prometheus.Counter {
		return metrics.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	key := prefix + "tasks:all"
	return &ListCache{
		pipeline:     shuttle,
		keys:         []string{key, key + ":beside", key + ":generation", key + ":confirmed"},
		lookupScript: goredis.NewScript(fmt.Sprintf("%s\n-- %q in database %d", lookupText, key, shuttle.database())),
		outage:       outage{log: log, what: "lists are read from the database"},
		hits:         counter("cache_hits_total", "Lists answered from Redis."),
		misses:       counter("cache_misses_total", "Lists answered from the database."),
		errors:       counter("todo_cache_errors_total", "List cache calls that failed, were skipped during an outage, or found rubbish."),
		refusedFills: counter("todo_cache_fills_refused_total", "Lists not stored because a write overtook them."),
		unconfirmed:  counter("todo_cache_unconfirmed_invalidations_total", "Invalidations that Redis did not confirm."),
	}
}

type prefetchKey struct{}

// prefetch is a look that is under way, for one Load.
type prefetch struct {
	ticket ticket
	taken  atomic.Bool
}

// Prefetch lets a Load with the context that it returns find what the cache holds
// already on its way, together with what else is asked of Redis meanwhile. For
// that Load, Begin is the moment at which it was called.
func (c *ListCache) Prefetch(ctx context.Context) context.Context {
	if c.recoveredInvalidations.Load() < c.failedInvalidations.Load() {
		return ctx
	}
	return context.WithValue(ctx, prefetchKey{}, &prefetch{ticket: c.pipeline.board(ctx, lookupCommand{c})})
}

// Load returns the list, from Redis or else from query. It is never older than
// the last write whose Invalidate succeeded before Load was called.
//
// Readers that miss at the same time share one query, which has a deadline of
// its own and survives the reader that began it; each reader still leaves when
// its own ctx ends. While Redis fails, the readers that come during a query
// share the next one. The errors are those of query, and ctx's. The body belongs
// to the cache: don't change it.
func (c *ListCache) Load(ctx context.Context, query func(context.Context) (listcache.Entry, error)) (listcache.Entry, error) {
	found, err := c.lookupPrefetched(ctx)
	list := found.list
	switch {
	case err != nil && ctx.Err() != nil: // nobody waits for a query
		err = ctx.Err()
	case err != nil:
		list, err = c.turns.take(ctx, "", query)
	case !list.Hit:
		list, err = c.turns.take(ctx, found.generation, func(ctx context.Context) (listcache.Entry, error) {
			return c.loadAndFill(ctx, query)
		})
	}
	if list.Hit {
		c.hits.Inc()
	} else {
		c.misses.Inc()
	}
	return list, err
}

// Invalidate makes every list read before now unusable, and notes in Redis that
// this was done for the event, which is committed; "" for none. Call it before the
// writer is answered. An error means that Redis did not confirm: other replicas may
// serve the old list until an Invalidate or a Heal succeeds; this one reads the
// database until it has invalidated.
func (c *ListCache) Invalidate(ctx context.Context, eventID string) error {
	if eventID != "" {
		c.committed.add(eventID)
	}
	return c.invalidate(ctx, invalidateCommand{c})
}

// Heal invalidates, unless the invalidations of all these events were confirmed: by
// any replica, in the state that this Redis has now. The errors are those of Invalidate.
func (c *ListCache) Heal(ctx context.Context, eventIDs []string) error {
	h := &healCommand{cache: c, events: make([]any, len(eventIDs))}
	for i, id := range eventIDs {
		h.events[i] = id
	}
	return c.invalidate(ctx, h)
}

func (c *ListCache) invalidate(ctx context.Context, e errand) error {
	if err := c.rotateGeneration(ctx, e); err != nil {
		c.failedInvalidations.Add(1)
		c.unconfirmed.Inc()
		return fmt.Errorf("invalidate the list cache: %w", err)
	}
	return nil
}

// rotateGeneration runs an errand that may find that there is nothing to invalidate.
func (c *ListCache) rotateGeneration(ctx context.Context, e errand) error {
	owed := c.failedInvalidations.Load()
	replaced, err := c.pipeline.carry(ctx, e)
	if err != nil {
		return c.recordFailure(ctx, err)
	}
	c.outage.worked(ctx)
	if !replaced.(bool) {
		return nil
	}
	for repaid := c.recoveredInvalidations.Load(); repaid < owed; repaid = c.recoveredInvalidations.Load() {
		if c.recoveredInvalidations.CompareAndSwap(repaid, owed) {
			break
		}
	}
	return nil
}

// lookupPrefetched is that of Begin, if there was one.
func (c *ListCache) lookupPrefetched(ctx context.Context) (lookupResult, error) {
	if b, ok := ctx.Value(prefetchKey{}).(*prefetch); ok && !b.taken.Swap(true) {
		return c.waitForLookup(ctx, b.ticket)
	}
	return c.lookup(ctx)
}

// lookup reads the cache, and makes sure that there is a generation. First it
// makes good what earlier invalidations owe.
func (c *ListCache) lookup(ctx context.Context) (lookupResult, error) {
	if c.recoveredInvalidations.Load() < c.failedInvalidations.Load() {
		if err := c.rotateGeneration(ctx, invalidateCommand{c}); err != nil {
			return lookupResult{}, err
		}
	}
	return c.waitForLookup(ctx, c.pipeline.board(ctx, lookupCommand{c}))
}

func (c *ListCache) waitForLookup(ctx context.Context, t ticket) (lookupResult, error) {
	found, err := t.wait(ctx)
	if err != nil {
		return lookupResult{}, c.recordFailure(ctx, err)
	}
	c.outage.worked(ctx)
	return found.(lookupResult), nil
}

// loadAndFill looks once more, because the turn before this one may have stored the
// list after the reader missed it, and otherwise queries and stores.
func (c *ListCache) loadAndFill(ctx context.Context, query func(context.Context) (listcache.Entry, error)) (listcache.Entry, error) {
	noted, lookErr := c.lookup(ctx)
	if lookErr == nil && noted.list.Hit {
		return noted.list, nil
	}
	list, err := query(ctx)
	if err != nil || lookErr != nil {
		return list, err
	}
	stored, err := c.pipeline.carry(ctx, &fillCommand{c, noted.generation, list})
	switch {
	case err != nil:
		_ = c.recordFailure(ctx, err)
	case !stored.(bool):
		c.refusedFills.Inc()
	}
	return list, nil
}

// onFailure notes a failed call, unless it was the caller who gave up.
func (c *ListCache) recordFailure(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		c.errors.Inc()
		c.outage.failed(ctx, err)
	}
	return err
}

// recordCorrupt notes content that is not ours, in the log once a second at most. The
// next fill replaces it.
func (c *ListCache) recordCorrupt(err error) {
	c.errors.Inc()
	now := time.Now().UnixNano()
	if last := c.corruptLogged.Load(); now-last >= int64(time.Second) && c.corruptLogged.CompareAndSwap(last, now) {
		c.outage.log.Warn("the list cache held rubbish", "error", err)
	}
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(body []byte) uint32 { return crc32.Checksum(body, castagnoli) }
