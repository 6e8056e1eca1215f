package redisstore

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	goredis "github.com/redis/go-redis/v9"

	"example.com/todo/platform/retry"
	"example.com/todo/todo-service/internal/coalesce"
	"example.com/todo/todo-service/internal/listcache"
)

const (
	listTTL      = 300             // seconds that a list stays in Redis
	queryTimeout = 5 * time.Second // bounds a query that readers share, which no reader's deadline does
	settleTime   = time.Second     // without a failure, before an outage is over
	maxCommitted = 1_000           // ids of one invalidation; while Redis answers, there are fewer concurrent writers
)

// ListCache is a cache-aside of the response to the unfiltered list, with a generation
// token; see the package comment for the protocol. Generations are random, so a
// generation that was flushed or evicted never returns. They have no TTL: a lost one
// only makes Redis refuse fills. It is safe for concurrent use.
type ListCache struct {
	pipeline     *AutoPipeline
	keys         []string        // list, metadata, generation, confirmed events: the KEYS of every script
	lookupScript *goredis.Script // of these keys alone; see lookupCommand

	queries  coalesce.Flights[string, listcache.Entry] // by generation
	fallback coalesce.Batcher[*query, listcache.Entry] // for readers without a generation; pointers, because no two queries are equal

	committed chan string // ids of events whose invalidation has not been sent

	// The latest failed invalidation that no later one has made up for. While there is one,
	// this process does not read the cache.
	unrecovered atomic.Pointer[error]

	localCopy atomic.Pointer[localCopy] // of the list that was last read from Redis

	outage                                          *retry.Outage
	hits, misses, errors, refusedFills, unconfirmed prometheus.Counter
}

// NewListCache returns the cache whose keys begin with prefix. It neither dials nor
// fails.
func NewListCache(pipeline *AutoPipeline, prefix string, log *slog.Logger, reg prometheus.Registerer) *ListCache {
	metrics := promauto.With(reg)
	counter := func(name, help string) prometheus.Counter {
		return metrics.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	key := prefix + "tasks:all"
	c := &ListCache{
		pipeline:     pipeline,
		committed:    make(chan string, maxCommitted),
		keys:         []string{key, key + ":beside", key + ":generation", key + ":confirmed"},
		lookupScript: goredis.NewScript(fmt.Sprintf("%s\n-- %q in database %d", lookupText, key, pipeline.database())),
		outage:       retry.NewOutage(log, "list cache: Redis failed, lists are read from the database until it recovers", "list cache: Redis works again"),
		hits:         counter("cache_hits_total", "Lists answered from Redis."),
		misses:       counter("cache_misses_total", "Lists answered from the database."),
		errors:       counter("todo_cache_errors_total", "List cache calls that failed, were skipped during an outage, or found corrupt data."),
		refusedFills: counter("todo_cache_fills_refused_total", "Lists not stored because a write overtook them."),
		unconfirmed:  counter("todo_cache_unconfirmed_invalidations_total", "Invalidations that Redis did not confirm."),
	}
	c.outage.Settle = settleTime
	c.queries.Timeout = queryTimeout
	c.fallback.Run, c.fallback.MaxInFlight = runFallback, 1
	return c
}

type prefetchKey struct{}

// Prefetch starts a lookup for Load, which is called once with the context that Prefetch
// returns. The lookup can share a round trip with other commands, such as the limiter's.
// What Load promises then counts from the call of Prefetch.
func (c *ListCache) Prefetch(ctx context.Context) context.Context {
	if c.unrecovered.Load() != nil {
		return ctx
	}
	return context.WithValue(ctx, prefetchKey{}, c.pipeline.start(ctx, lookupCommand{c}))
}

// Load returns the list, from Redis or from read. It is never older than the last
// write whose Invalidate succeeded before Load was called. The errors are those of
// read, and ctx's. The body belongs to the cache: do not change it.
//
// Readers that miss at the same time share one query, which has a deadline of its own
// and continues when a reader leaves. While Redis fails, readers that arrive during a
// query share the next one.
func (c *ListCache) Load(ctx context.Context, read query) (listcache.Entry, error) {
	found, err := c.lookupPrefetched(ctx)
	list := found.list
	switch {
	case err != nil && ctx.Err() != nil: // this reader has left
		err = ctx.Err()
	case err != nil || !list.Hit && found.generation == "":
		// Without a generation a write may have been confirmed since any query in flight
		// began. A batch starts after this call, and its query with it.
		list, err = c.fallback.Do(ctx, &read)
	case !list.Hit:
		// The reader of an equal generation may share a query that was started before this
		// call: no write was confirmed since its generation was read.
		list, err = c.queries.Do(ctx, found.generation, func(ctx context.Context) (listcache.Entry, error) {
			return c.loadAndFill(ctx, read)
		})
	}
	if list.Hit {
		c.hits.Inc()
	} else {
		c.misses.Inc()
	}
	return list, err
}

// Invalidate makes every list read before now unusable, and confirms the event, which
// is committed; "" for none. Call it before the writer gets its response. An error
// means that Redis did not confirm: other replicas may serve the old list until an
// Invalidate or a Heal succeeds; this one reads the database until it has invalidated.
func (c *ListCache) Invalidate(ctx context.Context, eventID string) error {
	if eventID != "" {
		select {
		case c.committed <- eventID:
		default: // Redis does not answer: Heal will invalidate for this event
		}
	}
	return c.invalidate(ctx, invalidateCommand{c})
}

// Heal invalidates, unless any replica's invalidation for each of these events is
// confirmed in the state that this Redis has now. The errors are those of Invalidate.
func (c *ListCache) Heal(ctx context.Context, eventIDs []string) error {
	args := []any{rand.Text()}
	for _, id := range eventIDs {
		args = append(args, id)
	}
	return c.invalidate(ctx, &scriptCall{script: healScript, keys: c.keys, args: args, decode: decodeBool})
}

func (c *ListCache) invalidate(ctx context.Context, cmd command) error {
	if err := c.rotateGeneration(ctx, cmd); err != nil {
		c.unrecovered.Store(&err)
		c.unconfirmed.Inc()
		return fmt.Errorf("invalidate the list cache: %w", err)
	}
	return nil
}

// rotateGeneration runs a command that may find that no invalidation is needed.
func (c *ListCache) rotateGeneration(ctx context.Context, cmd command) error {
	failed := c.unrecovered.Load() // before the command, which makes up for it
	rotated, err := c.pipeline.do(ctx, cmd)
	if err != nil {
		return c.recordFailure(ctx, err)
	}
	c.outage.Record(ctx, nil)
	if rotated.(bool) {
		c.unrecovered.CompareAndSwap(failed, nil)
	}
	return nil
}

// lookupPrefetched returns the result of the prefetched lookup, or of a new one.
func (c *ListCache) lookupPrefetched(ctx context.Context) (lookupResult, error) {
	if prefetched, ok := ctx.Value(prefetchKey{}).(pending); ok {
		return c.waitForLookup(ctx, prefetched)
	}
	return c.lookup(ctx)
}

// lookup reads the list and the generation, which it creates if there is none.
func (c *ListCache) lookup(ctx context.Context) (lookupResult, error) {
	if c.unrecovered.Load() != nil {
		if err := c.rotateGeneration(ctx, invalidateCommand{c}); err != nil {
			return lookupResult{}, err
		}
	}
	return c.waitForLookup(ctx, c.pipeline.start(ctx, lookupCommand{c}))
}

func (c *ListCache) waitForLookup(ctx context.Context, lookup pending) (lookupResult, error) {
	found, err := lookup.wait(ctx)
	if err != nil {
		return lookupResult{}, c.recordFailure(ctx, err)
	}
	result := found.(lookupResult)
	if result.corrupt != nil {
		_ = c.recordFailure(ctx, result.corrupt)
	} else {
		c.outage.Record(ctx, nil)
	}
	return result, nil
}

// loadAndFill returns the list from read and stores it in Redis.
func (c *ListCache) loadAndFill(ctx context.Context, read query) (listcache.Entry, error) {
	// The flight before this one may have stored the list after the reader's lookup.
	noted, lookupErr := c.lookup(ctx)
	if lookupErr == nil && noted.list.Hit {
		return noted.list, nil
	}
	list, err := read(ctx)
	if err != nil || lookupErr != nil {
		return list, err
	}
	stored, err := c.pipeline.do(ctx, c.fillCall(noted.generation, list))
	switch {
	case err != nil:
		_ = c.recordFailure(ctx, err)
	case !stored.(bool):
		c.refusedFills.Inc()
	}
	return list, nil
}

// query reads the list from the database.
type query = func(context.Context) (listcache.Entry, error)

// runFallback answers all readers of a batch by one query.
func runFallback(ctx context.Context, batch []coalesce.Entry[*query]) ([]listcache.Entry, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	list, err := (*batch[0].Key)(ctx)
	return slices.Repeat([]listcache.Entry{list}, len(batch)), err
}

// recordFailure records a failed call and returns its error. A call that failed because
// its ctx ended says nothing about Redis.
func (c *ListCache) recordFailure(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		c.errors.Inc()
		c.outage.Record(ctx, err)
	}
	return err
}
