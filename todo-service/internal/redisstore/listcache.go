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
	shuttle *AutoPipeline
	keys    []string        // list, beside, generation, confirmed events: the KEYS of every script
	looking *goredis.Script // for these keys alone: who runs it first in a Redis forgets what is there
	turns   turns
	outage  outage

	committed committedEvents

	// Invalidations that failed, and how many of those a later one made good.
	// While they differ this process does not trust the cache.
	owed, repaid atomic.Int64

	kept          atomic.Pointer[copied] // of the list that was last read from Redis
	rubbishLogged atomic.Int64           // when, in Unix nanoseconds

	hits, misses, errors, refused, unconfirmed prometheus.Counter
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
		shuttle:     shuttle,
		keys:        []string{key, key + ":beside", key + ":generation", key + ":confirmed"},
		looking:     goredis.NewScript(fmt.Sprintf("%s\n-- %q in database %d", lookText, key, shuttle.database())),
		outage:      outage{log: log, what: "lists are read from the database"},
		hits:        counter("cache_hits_total", "Lists answered from Redis."),
		misses:      counter("cache_misses_total", "Lists answered from the database."),
		errors:      counter("todo_cache_errors_total", "List cache calls that failed, were skipped during an outage, or found rubbish."),
		refused:     counter("todo_cache_fills_refused_total", "Lists not stored because a write overtook them."),
		unconfirmed: counter("todo_cache_unconfirmed_invalidations_total", "Invalidations that Redis did not confirm."),
	}
}

type begunKey struct{}

// begun is a look that is under way, for one Load.
type begun struct {
	ticket ticket
	taken  atomic.Bool
}

// Prefetch lets a Load with the context that it returns find what the cache holds
// already on its way, together with what else is asked of Redis meanwhile. For
// that Load, Begin is the moment at which it was called.
func (c *ListCache) Prefetch(ctx context.Context) context.Context {
	if c.repaid.Load() < c.owed.Load() {
		return ctx
	}
	return context.WithValue(ctx, begunKey{}, &begun{ticket: c.shuttle.board(ctx, looking{c})})
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
	found, err := c.firstLook(ctx)
	list := found.list
	switch {
	case err != nil && ctx.Err() != nil: // nobody waits for a query
		err = ctx.Err()
	case err != nil:
		list, err = c.turns.take(ctx, "", query)
	case !list.Hit:
		list, err = c.turns.take(ctx, found.generation, func(ctx context.Context) (listcache.Entry, error) {
			return c.refill(ctx, query)
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
	return c.invalidate(ctx, forgetting{c})
}

// Heal invalidates, unless the invalidations of all these events were confirmed: by
// any replica, in the state that this Redis has now. The errors are those of Invalidate.
func (c *ListCache) Heal(ctx context.Context, eventIDs []string) error {
	h := &healing{cache: c, events: make([]any, len(eventIDs))}
	for i, id := range eventIDs {
		h.events[i] = id
	}
	return c.invalidate(ctx, h)
}

func (c *ListCache) invalidate(ctx context.Context, e errand) error {
	if err := c.replaceGeneration(ctx, e); err != nil {
		c.owed.Add(1)
		c.unconfirmed.Inc()
		return fmt.Errorf("invalidate the list cache: %w", err)
	}
	return nil
}

// replaceGeneration runs an errand that may find that there is nothing to invalidate.
func (c *ListCache) replaceGeneration(ctx context.Context, e errand) error {
	owed := c.owed.Load()
	replaced, err := c.shuttle.carry(ctx, e)
	if err != nil {
		return c.failed(ctx, err)
	}
	c.outage.worked(ctx)
	if !replaced.(bool) {
		return nil
	}
	for repaid := c.repaid.Load(); repaid < owed; repaid = c.repaid.Load() {
		if c.repaid.CompareAndSwap(repaid, owed) {
			break
		}
	}
	return nil
}

// firstLook is that of Begin, if there was one.
func (c *ListCache) firstLook(ctx context.Context) (entry, error) {
	if b, ok := ctx.Value(begunKey{}).(*begun); ok && !b.taken.Swap(true) {
		return c.read(ctx, b.ticket)
	}
	return c.look(ctx)
}

// look reads the cache, and makes sure that there is a generation. First it
// makes good what earlier invalidations owe.
func (c *ListCache) look(ctx context.Context) (entry, error) {
	if c.repaid.Load() < c.owed.Load() {
		if err := c.replaceGeneration(ctx, forgetting{c}); err != nil {
			return entry{}, err
		}
	}
	return c.read(ctx, c.shuttle.board(ctx, looking{c}))
}

func (c *ListCache) read(ctx context.Context, t ticket) (entry, error) {
	found, err := t.wait(ctx)
	if err != nil {
		return entry{}, c.failed(ctx, err)
	}
	c.outage.worked(ctx)
	return found.(entry), nil
}

// refill looks once more, because the turn before this one may have stored the
// list after the reader missed it, and otherwise queries and stores.
func (c *ListCache) refill(ctx context.Context, query func(context.Context) (listcache.Entry, error)) (listcache.Entry, error) {
	noted, lookErr := c.look(ctx)
	if lookErr == nil && noted.list.Hit {
		return noted.list, nil
	}
	list, err := query(ctx)
	if err != nil || lookErr != nil {
		return list, err
	}
	stored, err := c.shuttle.carry(ctx, &filling{c, noted.generation, list})
	switch {
	case err != nil:
		_ = c.failed(ctx, err)
	case !stored.(bool):
		c.refused.Inc()
	}
	return list, nil
}

// failed notes a failed call, unless it was the caller who gave up.
func (c *ListCache) failed(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		c.errors.Inc()
		c.outage.failed(ctx, err)
	}
	return err
}

// rubbish notes content that is not ours, in the log once a second at most. The
// next fill replaces it.
func (c *ListCache) rubbish(err error) {
	c.errors.Inc()
	now := time.Now().UnixNano()
	if last := c.rubbishLogged.Load(); now-last >= int64(time.Second) && c.rubbishLogged.CompareAndSwap(last, now) {
		c.outage.log.Warn("the list cache held rubbish", "error", err)
	}
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(body []byte) uint32 { return crc32.Checksum(body, castagnoli) }
