package redisstore_test

import (
	"context"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"example.com/todo/todo-service/internal/edge"
	"example.com/todo/todo-service/internal/redisstore"
)

// cache is what is put to the test: the list cache, and one that is known to lie.
type cache interface {
	Load(ctx context.Context, query func(context.Context) ([]byte, string, error)) (edge.CachedList, error)
	Invalidate(ctx context.Context) error
}

// deleteOnly is the plain cache-aside: a write deletes the list. A reader that
// queried before the write puts the old list back after it.
type deleteOnly struct {
	client goredis.UniversalClient
	key    string
}

func (c deleteOnly) Load(ctx context.Context, query func(context.Context) ([]byte, string, error)) (edge.CachedList, error) {
	if body, err := c.client.Get(ctx, c.key).Bytes(); err == nil {
		return edge.CachedList{Body: body, Hit: true}, nil
	}
	body, _, err := query(ctx)
	if err != nil {
		return edge.CachedList{}, err
	}
	return edge.CachedList{Body: body}, c.client.Set(ctx, c.key, body, time.Minute).Err()
}

func (c deleteOnly) Invalidate(ctx context.Context) error { return c.client.Del(ctx, c.key).Err() }

// trial runs 4 writers and 20 readers over replicas that share one Redis, with
// slow queries and keys that vanish, and counts the reads that were older than
// the last write answered before they began. The list is a number that each
// write raises. It ends after so many reads, or at the first stale one if wanted.
func trial(t *testing.T, s *server, replicas []cache, reads int64, untilStale bool) (stale, hits int64) {
	t.Helper()
	var stored, answered, done, lies, fromRedis atomic.Int64
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	over := func() bool {
		return ctx.Err() != nil || done.Load() >= reads || untilStale && lies.Load() > 0
	}
	query := func(context.Context) ([]byte, string, error) {
		body := strconv.AppendInt(nil, stored.Load(), 10)
		pass(time.Duration(rand.N(2_000)) * time.Microsecond)
		return body, "", nil
	}
	write := func(c cache) {
		version := stored.Add(1)
		if c.Invalidate(ctx) != nil {
			return // not confirmed: nothing is promised
		}
		for last := answered.Load(); last < version && !answered.CompareAndSwap(last, version); last = answered.Load() {
		}
		pass(time.Duration(rand.N(4_000)) * time.Microsecond)
	}
	read := func(c cache) {
		oldest := answered.Load()
		got, err := c.Load(ctx, query)
		if err != nil {
			return
		}
		done.Add(1)
		if got.Hit {
			fromRedis.Add(1)
		}
		if version, err := strconv.ParseInt(string(got.Body), 10, 64); err != nil || version < oldest {
			lies.Add(1)
		}
	}
	evict := func() {
		victims := []string{list, list + ":beside", list + ":generation"}
		rand.Shuffle(len(victims), func(i, j int) { victims[i], victims[j] = victims[j], victims[i] })
		for _, key := range victims[:1+rand.N(3)] {
			s.Del(ctx, s.prefix+key)
		}
		pass(time.Duration(rand.N(5_000)) * time.Microsecond)
	}
	var all sync.WaitGroup
	repeat := func(step func()) {
		all.Go(func() {
			for !over() {
				step()
			}
		})
	}
	for i := range 4 {
		repeat(func() { write(replicas[i%len(replicas)]) })
	}
	for i := range 20 {
		repeat(func() { read(replicas[i%len(replicas)]) })
	}
	repeat(evict)
	all.Wait()
	return lies.Load(), fromRedis.Load()
}

func pass(d time.Duration) { <-time.After(d) }

func TestNoReadIsOlderThanTheLastAnsweredWrite(t *testing.T) {
	t.Parallel()
	s := openRedis(t)
	var replicas []cache
	for range 3 {
		replica := redisstore.NewListCache(s, s.prefix, s.log(), nil)
		replica.BePatient()
		replicas = append(replicas, replica)
	}
	const reads = 20_000
	stale, hits := trial(t, s, replicas, reads, false)
	if stale != 0 {
		t.Errorf("%d of %d reads were older than a write answered before", stale, reads)
	}
	if hits < reads/10 {
		t.Errorf("only %d of %d reads were hits: this proves little", hits, reads)
	}
}

// Without it nobody would know that the trial can fail.
func TestACacheThatOnlyDeletesIsCaughtLying(t *testing.T) {
	t.Parallel()
	s := openRedis(t)
	stale, _ := trial(t, s, []cache{deleteOnly{s, s.prefix + list}}, 1_000_000, true)
	if stale == 0 {
		t.Error("the trial never caught it")
	}
}
