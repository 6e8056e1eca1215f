package redisstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	goredis "github.com/redis/go-redis/v9"

	"example.com/todo/platform/retry"
	"example.com/todo/todo-service/internal/coalesce"
	"example.com/todo/todo-service/internal/listcache"
	"example.com/todo/todo-service/internal/task"
)

const (
	listTTL      = 300             // seconds that a list stays in Redis
	queryTimeout = 5 * time.Second // bounds a query that readers share, which no reader's deadline does
	settleTime   = time.Second     // without a failure, before an outage is over
	maxCommitted = 1_000           // ids of one invalidation; while Redis answers, there are fewer concurrent writers
)

// ListCache is a cache-aside of the response to an owner's unfiltered list, with a
// generation token; see the package comment for the protocol. Generations are random, so
// one that was flushed, evicted or expired never returns: a lost generation makes Redis
// refuse fills. It is safe for concurrent use.
type ListCache struct {
	pipeline *AutoPipeline
	keys     listKeys

	// The lookups' texts are unique for these keys; see lookupCommand.
	lookupScript, lookupUserScript *goredis.Script

	forgetUsers *scriptCall // invalidates the lists of all users

	queries  coalesce.Flights[flightKey, listcache.Entry]
	fallback *fallbackQueries // for readers without a generation

	committed chan string // ids of events without an owner whose invalidation has not been sent

	failed failedInvalidations
	copies *localCopies // of the lists that were last read from Redis

	outage                                          *retry.Outage
	hits, misses, errors, refusedFills, unconfirmed prometheus.Counter
}

// flightKey is what readers that share a query have in common.
type flightKey struct {
	owner      task.Owner
	generation string
}

// CommittedEvent is an event of the log, and the owner whose list it changes.
type CommittedEvent struct {
	ID    string
	Owner task.Owner
}

// NewListCache returns the cache whose keys begin with prefix. It neither dials nor
// fails.
func NewListCache(pipeline *AutoPipeline, prefix string, log *slog.Logger, reg prometheus.Registerer) *ListCache {
	metrics := promauto.With(reg)
	counter := func(name, help string) prometheus.Counter {
		return metrics.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	key := prefix + "tasks:all"
	unique := func(text string) *goredis.Script {
		return goredis.NewScript(fmt.Sprintf("%s\n-- %q in database %d", text, key, pipeline.database()))
	}
	c := &ListCache{
		pipeline:         pipeline,
		committed:        make(chan string, maxCommitted),
		keys:             newListKeys(key),
		lookupScript:     unique(lookupText),
		lookupUserScript: unique(lookupUserText),
		fallback:         newFallbackQueries(),
		copies:           newLocalCopies(),
		outage:           retry.NewOutage(log, "list cache: Redis failed, lists are read from the database until it recovers", "list cache: Redis works again"),
		hits:             counter("cache_hits_total", "Lists answered from Redis."),
		misses:           counter("cache_misses_total", "Lists answered from the database."),
		errors:           counter("todo_cache_errors_total", "List cache calls that failed, were skipped during an outage, or found corrupt data."),
		refusedFills:     counter("todo_cache_fills_refused_total", "Lists not stored because a write overtook them."),
		unconfirmed:      counter("todo_cache_unconfirmed_invalidations_total", "Invalidations that Redis did not confirm."),
	}
	c.forgetUsers = &scriptCall{script: forgetUsersScript, keys: []string{c.keys.epoch}, decode: decodeBool}
	c.outage.Settle = settleTime
	c.queries.Timeout = queryTimeout
	return c
}

type prefetchKey struct{}

// prefetchedLookup is a lookup of the owner's list on its way.
type prefetchedLookup struct {
	owner  task.Owner
	lookup pending
}

// Prefetch starts a lookup for Load, which is called once with the context that Prefetch
// returns, and with the same owner. The lookup can share a round trip with other commands,
// such as the limiter's. What Load promises then counts from the call of Prefetch.
func (c *ListCache) Prefetch(ctx context.Context, owner task.Owner) context.Context {
	if own, allUsers := c.failed.of(owner); own != 0 || allUsers != 0 {
		return ctx
	}
	lookup := c.pipeline.start(ctx, lookupCommand{c, owner})
	return context.WithValue(ctx, prefetchKey{}, prefetchedLookup{owner, lookup})
}

// Load returns the owner's list, from Redis or from read. It is never older than the last
// write whose Invalidate succeeded before Load was called. The errors are those of
// read, and ctx's. The body belongs to the cache: do not change it.
//
// An owner's readers that miss at the same time share one query, which has a deadline of its own
// and continues when a reader leaves. While Redis fails, readers that arrive during a
// query share the next one.
func (c *ListCache) Load(ctx context.Context, owner task.Owner, read query) (listcache.Entry, error) {
	found, err := c.lookupPrefetched(ctx, owner)
	list := found.list
	switch {
	case err != nil && ctx.Err() != nil: // this reader has left
		err = ctx.Err()
	case err != nil || !list.Hit && found.generation == "":
		// Without a generation a write may have been confirmed since any query in flight
		// began. A batch starts after this call, and its query with it.
		list, err = c.fallback.do(ctx, owner, read)
	case !list.Hit:
		// The reader of an equal generation may share a query that was started before this
		// call: no write was confirmed since its generation was read.
		list, err = c.queries.Do(ctx, flightKey{owner, found.generation}, func(ctx context.Context) (listcache.Entry, error) {
			return c.loadAndFill(ctx, owner, read)
		})
	}
	if list.Hit {
		c.hits.Inc()
	} else {
		c.misses.Inc()
	}
	return list, err
}

// Invalidate makes every list of the owner that was read before now unusable, and confirms
// the event, which is committed; "" for none. Call it before the writer gets its response.
// An error means that Redis did not confirm: other replicas may serve the old list until an
// Invalidate or a Heal succeeds; this one reads the database until it has invalidated.
func (c *ListCache) Invalidate(ctx context.Context, owner task.Owner, eventID string) error {
	if owner == 0 && eventID != "" {
		select {
		case c.committed <- eventID:
		default: // Redis does not answer: Heal will invalidate for this event
		}
	}
	return c.confirm(ctx, c.startInvalidation(ctx, c.invalidateCommand(owner, eventID), owner))
}

// Heal invalidates the lists of the events' owners, unless any replica's invalidation for
// each of the events is confirmed in the state that this Redis has now. The errors are
// those of Invalidate.
func (c *ListCache) Heal(ctx context.Context, events []CommittedEvent) error {
	var ownerless, ofUsers []any // ids
	var users []task.Owner
	for _, e := range events {
		if e.Owner == 0 {
			ownerless = append(ownerless, e.ID)
			continue
		}
		ofUsers = append(ofUsers, e.ID)
		users = append(users, e.Owner)
	}
	var started []invalidation
	if len(ownerless) > 0 {
		started = append(started, c.startInvalidation(ctx, c.healCall(ownerless), 0))
	}
	if len(ofUsers) > 0 {
		slices.Sort(users)
		users = slices.Compact(users)
		started = append(started, c.startInvalidation(ctx, c.healUsersCall(users, ofUsers), users...))
	}
	var errs []error
	for _, i := range started {
		errs = append(errs, c.confirm(ctx, i))
	}
	return errors.Join(errs...)
}

// invalidation is a command on its way that invalidates the owners' lists, or finds that
// this is not needed.
type invalidation struct {
	owners  []task.Owner
	noted   []failure // of each owner, before the command, which makes up for it
	command pending
}

func (c *ListCache) startInvalidation(ctx context.Context, cmd command, owners ...task.Owner) invalidation {
	noted := make([]failure, len(owners))
	for i, owner := range owners {
		noted[i], _ = c.failed.of(owner)
	}
	return invalidation{owners, noted, c.pipeline.start(ctx, cmd)}
}

// confirm waits for the reply. An error is recorded as a failure of the owners.
func (c *ListCache) confirm(ctx context.Context, i invalidation) error {
	if err := c.wait(ctx, i); err != nil {
		for _, owner := range i.owners {
			c.failed.record(owner)
		}
		c.unconfirmed.Inc()
		return fmt.Errorf("invalidate the list cache: %w", err)
	}
	return nil
}

func (c *ListCache) wait(ctx context.Context, i invalidation) error {
	invalidated, err := i.command.wait(ctx)
	if err != nil {
		return c.recordFailure(ctx, err)
	}
	c.outage.Record(ctx, nil)
	if invalidated.(bool) {
		for j, owner := range i.owners {
			c.failed.resolve(owner, i.noted[j])
		}
	}
	return nil
}

// makeUp invalidates the owner's list if an invalidation of it has failed.
func (c *ListCache) makeUp(ctx context.Context, owner task.Owner) error {
	own, allUsers := c.failed.of(owner)
	switch {
	case allUsers != 0:
		if err := c.wait(ctx, c.startInvalidation(ctx, forgetUsersCommand{c}, owner)); err != nil {
			return err
		}
		c.failed.resolveAllUsers(allUsers)
	case own != 0:
		return c.wait(ctx, c.startInvalidation(ctx, c.invalidateCommand(owner, ""), owner))
	}
	return nil
}

// lookupPrefetched returns the result of the owner's prefetched lookup, or of a new one.
func (c *ListCache) lookupPrefetched(ctx context.Context, owner task.Owner) (lookupResult, error) {
	if prefetched, ok := ctx.Value(prefetchKey{}).(prefetchedLookup); ok && prefetched.owner == owner {
		return c.waitForLookup(ctx, prefetched.lookup)
	}
	return c.lookup(ctx, owner)
}

// lookup reads the list and the generation, which it creates if there is none.
func (c *ListCache) lookup(ctx context.Context, owner task.Owner) (lookupResult, error) {
	if err := c.makeUp(ctx, owner); err != nil {
		return lookupResult{}, err
	}
	return c.waitForLookup(ctx, c.pipeline.start(ctx, lookupCommand{c, owner}))
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
func (c *ListCache) loadAndFill(ctx context.Context, owner task.Owner, read query) (listcache.Entry, error) {
	// The flight before this one may have stored the list after the reader's lookup.
	noted, lookupErr := c.lookup(ctx, owner)
	if lookupErr == nil && noted.list.Hit {
		return noted.list, nil
	}
	list, err := read(ctx)
	if err != nil || lookupErr != nil {
		return list, err
	}
	stored, err := c.pipeline.do(ctx, c.fillCall(owner, noted.generation, list))
	switch {
	case err != nil:
		_ = c.recordFailure(ctx, err)
	case !stored.(bool):
		c.refusedFills.Inc()
	}
	return list, nil
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
