package redisstore

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	goredis "github.com/redis/go-redis/v9"

	"example.com/todo/todo-service/internal/edge"
)

const (
	listTTL           = 300 // seconds
	readTimeout       = 100 * time.Millisecond
	invalidateTimeout = 200 * time.Millisecond
)

// ListCache keeps the answer to the unfiltered list beside the database.
//
// A list is stored only under the generation that was noted before its query
// began, and every write replaces the generation: a list that a write has
// overtaken is refused. Generations are random, so that none comes back after a
// flush or an eviction, and they have no lifetime: one that vanished only
// refuses fills.
type ListCache struct {
	client goredis.UniversalClient
	keys   []string // list, beside, generation: the KEYS of every script
	turns  turns
	outage outage

	readTimeout, invalidateTimeout time.Duration

	// Invalidations that failed, and how many of those a later one made good.
	// While they differ this process does not trust the cache.
	owed, repaid atomic.Int64

	rubbishLogged atomic.Int64 // when, in Unix nanoseconds

	hits, misses, errors, refused, unconfirmed prometheus.Counter
}

// beside is what is stored next to a list.
type beside struct {
	Link string `json:"link"`
	Sum  uint32 `json:"crc32c"` // of the list: tells rubbish from a list
}

// entry is what a reader found.
type entry struct {
	list       edge.CachedList // Hit when there is one
	generation string          // "" when there is none
}

// NewListCache returns the cache whose keys begin with prefix. It neither dials
// nor fails: a Redis that is away is met call by call.
func NewListCache(client goredis.UniversalClient, prefix string, log *slog.Logger, reg prometheus.Registerer) *ListCache {
	metrics := promauto.With(reg)
	counter := func(name, help string) prometheus.Counter {
		return metrics.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	key := prefix + "tasks:all"
	return &ListCache{
		client:            client,
		keys:              []string{key, key + ":beside", key + ":generation"},
		readTimeout:       readTimeout,
		invalidateTimeout: invalidateTimeout,
		outage:            outage{log: log, what: "lists are read from the database"},
		hits:              counter("cache_hits_total", "Lists answered from Redis."),
		misses:            counter("cache_misses_total", "Lists answered from the database."),
		errors:            counter("todo_cache_errors_total", "List cache calls that failed, were skipped during an outage, or found rubbish."),
		refused:           counter("todo_cache_fills_refused_total", "Lists not stored because a write overtook them."),
		unconfirmed:       counter("todo_cache_unconfirmed_invalidations_total", "Invalidations that Redis did not confirm."),
	}
}

// Load returns the list, from Redis or else from query. It is never older than
// the last write whose Invalidate succeeded before Load was called.
//
// Readers that miss at the same time share one query, which has a deadline of
// its own and survives the reader that began it; each reader still leaves when
// its own ctx ends. While Redis fails, the readers that come during a query
// share the next one. The errors are those of query, and ctx's. The body belongs
// to the cache: don't change it.
func (c *ListCache) Load(ctx context.Context, query func(context.Context) (body []byte, link string, err error)) (edge.CachedList, error) {
	found, err := c.look(ctx)
	list := found.list
	switch {
	case err != nil:
		list, err = c.turns.take(ctx, "", func(ctx context.Context) (edge.CachedList, error) {
			body, link, err := query(ctx)
			return edge.CachedList{Body: body, Link: link}, err
		})
	case !list.Hit:
		list, err = c.turns.take(ctx, found.generation, func(ctx context.Context) (edge.CachedList, error) {
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

// Invalidate makes every list read before now unusable. Call it after a commit
// and before the writer is answered. An error means that Redis did not confirm:
// other replicas may serve the old list until an Invalidate succeeds; this one
// reads the database until then.
func (c *ListCache) Invalidate(ctx context.Context) error {
	if err := c.replaceGeneration(ctx); err != nil {
		c.owed.Add(1)
		c.unconfirmed.Inc()
		return fmt.Errorf("invalidate the list cache: %w", err)
	}
	return nil
}

func (c *ListCache) replaceGeneration(ctx context.Context) error {
	owed := c.owed.Load()
	bounded, cancel := context.WithTimeout(ctx, c.invalidateTimeout)
	defer cancel()
	if err := invalidateScript.Run(bounded, c.client, c.keys, rand.Text()).Err(); err != nil {
		return c.failed(ctx, err)
	}
	c.outage.worked(ctx)
	for repaid := c.repaid.Load(); repaid < owed; repaid = c.repaid.Load() {
		if c.repaid.CompareAndSwap(repaid, owed) {
			break
		}
	}
	return nil
}

// look reads the cache, in one round trip when there is a list or a generation.
func (c *ListCache) look(ctx context.Context) (entry, error) {
	if err := c.trust(ctx); err != nil {
		return entry{}, err
	}
	bounded, cancel := context.WithTimeout(ctx, c.readTimeout)
	defer cancel()
	values, err := c.client.MGet(bounded, c.keys...).Result()
	if err != nil {
		return entry{}, c.failed(ctx, err)
	}
	c.outage.worked(ctx)
	found := c.entry(ctx, values[0], values[1], values[2])
	if !found.list.Hit && found.generation == "" {
		return c.begin(ctx)
	}
	return found, nil
}

// trust makes good what earlier invalidations owe, and fails while Redis does.
func (c *ListCache) trust(ctx context.Context) error {
	if c.outage.paused() {
		c.errors.Inc()
		return errPaused
	}
	if c.repaid.Load() < c.owed.Load() {
		return c.replaceGeneration(ctx)
	}
	return nil
}

// begin looks again and makes sure that there is a generation.
func (c *ListCache) begin(ctx context.Context) (entry, error) {
	if err := c.trust(ctx); err != nil {
		return entry{}, err
	}
	bounded, cancel := context.WithTimeout(ctx, c.readTimeout)
	defer cancel()
	values, err := beginScript.Run(bounded, c.client, c.keys, rand.Text()).Slice()
	if err != nil {
		return entry{}, c.failed(ctx, err)
	}
	if removed, _ := values[1].(int64); removed > 0 {
		c.rubbish(ctx, errors.New("a key held another type"))
	}
	return c.entry(ctx, values[2], values[3], values[0]), nil
}

// refill looks once more, because the turn before this one may have stored the
// list after the reader missed it, and otherwise queries and stores.
func (c *ListCache) refill(ctx context.Context, query func(context.Context) ([]byte, string, error)) (edge.CachedList, error) {
	noted, beginErr := c.begin(ctx)
	if beginErr == nil && noted.list.Hit {
		return noted.list, nil
	}
	body, link, err := query(ctx)
	if err != nil {
		return edge.CachedList{}, err
	}
	if beginErr == nil {
		c.fill(ctx, noted.generation, body, link)
	}
	return edge.CachedList{Body: body, Link: link}, nil
}

func (c *ListCache) fill(ctx context.Context, generation string, body []byte, link string) {
	next, err := json.Marshal(beside{Link: link, Sum: checksum(body)})
	if err != nil {
		c.rubbish(ctx, err)
		return
	}
	bounded, cancel := context.WithTimeout(ctx, c.readTimeout)
	defer cancel()
	stored, err := fillScript.Run(bounded, c.client, c.keys, generation, body, next, listTTL).Bool()
	switch {
	case err != nil:
		_ = c.failed(ctx, err)
	case !stored:
		c.refused.Inc()
	}
}

// entry reads three values of which each may be missing (nil).
func (c *ListCache) entry(ctx context.Context, body, next, generation any) entry {
	var found entry
	found.generation, _ = generation.(string)
	text, ok := body.(string)
	if !ok {
		return found
	}
	var meta beside
	stored, _ := next.(string)
	if err := json.Unmarshal([]byte(stored), &meta); err != nil {
		c.rubbish(ctx, fmt.Errorf("what is beside the list: %w", err))
		return found
	}
	list := []byte(text)
	if checksum(list) != meta.Sum {
		c.rubbish(ctx, errors.New("the list is not the one that was stored"))
		return found
	}
	found.list = edge.CachedList{Body: list, Link: meta.Link, Hit: true}
	return found
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
func (c *ListCache) rubbish(ctx context.Context, err error) {
	c.errors.Inc()
	now := time.Now().UnixNano()
	if last := c.rubbishLogged.Load(); now-last >= int64(time.Second) && c.rubbishLogged.CompareAndSwap(last, now) {
		c.outage.log.WarnContext(ctx, "the list cache held rubbish", "error", err)
	}
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(body []byte) uint32 { return crc32.Checksum(body, castagnoli) }
