package redisstore_test

import (
	"cmp"
	"context"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"example.com/todo/todo-service/internal/listcache"
	"example.com/todo/todo-service/internal/redisstore"
)

// cache is what is put to the test: the list cache, and one that is known to lie.
type cache interface {
	Load(ctx context.Context, query func(context.Context) (listcache.Entry, error)) (listcache.Entry, error)
	Invalidate(ctx context.Context, eventID string) error
	Heal(ctx context.Context, eventIDs []string) error
}

// deleteOnly is the plain cache-aside: a write deletes the list. A reader that
// queried before the write puts the old list back after it.
type deleteOnly struct {
	client goredis.UniversalClient
	key    string
}

func (c deleteOnly) Load(ctx context.Context, query func(context.Context) (listcache.Entry, error)) (listcache.Entry, error) {
	if body, err := c.client.Get(ctx, c.key).Bytes(); err == nil {
		return listcache.Entry{Body: body, Hit: true}, nil
	}
	list, err := query(ctx)
	if err != nil {
		return listcache.Entry{}, err
	}
	return list, c.client.Set(ctx, c.key, list.Body, time.Minute).Err()
}

func (c deleteOnly) Invalidate(ctx context.Context, _ string) error {
	return c.client.Del(ctx, c.key).Err()
}

func (c deleteOnly) Heal(ctx context.Context, _ []string) error {
	return c.client.Del(ctx, c.key).Err()
}

// trusting is the list cache, but for a live pass that takes each event for
// confirmed. What a writer leaves that died stays in the cache.
type trusting struct{ *redisstore.ListCache }

func (trusting) Heal(context.Context, []string) error { return nil }

// trial is a history of writes and reads over replicas that share one Redis. The
// list is a number that each write raises.
type trial struct {
	*server
	open     func() cache // a process, before it has read anything
	replicas [3]atomic.Pointer[cache]

	stored   atomic.Int64 // the committed list
	answered atomic.Int64 // what every later read has to show at least

	mu     sync.Mutex
	behind []int64 // committed writes that the live pass has not come to

	reads, hits, stale atomic.Int64
}

// run has 4 writers, 20 readers and slow queries; keys are evicted, or all of them
// flushed; writers die between commit and invalidation, and processes are
// replaced while their queries and fills are still under way. It ends after so
// many reads, or at the first stale one if wanted.
func (tr *trial) run(t *testing.T, reads int64, untilStale bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute+time.Duration(reads)*time.Millisecond)
	defer cancel()
	for i := range tr.replicas {
		tr.replace(i)
	}
	var all sync.WaitGroup
	repeat := func(step func(context.Context)) {
		all.Go(func() {
			for ctx.Err() == nil && tr.reads.Load() < reads && (!untilStale || tr.stale.Load() == 0) {
				step(ctx)
			}
		})
	}
	for range 4 {
		repeat(tr.write)
	}
	for range 20 {
		repeat(tr.read)
	}
	for _, step := range []func(context.Context){tr.evict, tr.livePass, func(context.Context) {
		tr.replace(rand.N(len(tr.replicas)))
		pass(50 * time.Millisecond)
	}} {
		repeat(step)
	}
	all.Wait()
}

func (tr *trial) replace(i int) {
	fresh := tr.open()
	tr.replicas[i].Store(&fresh)
}

func (tr *trial) any() cache { return *tr.replicas[rand.N(len(tr.replicas))].Load() }

func (tr *trial) query(context.Context) (listcache.Entry, error) {
	version := strconv.FormatInt(tr.stored.Load(), 10)
	pass(time.Duration(rand.N(2_000)) * time.Microsecond)
	return listcache.Entry{Body: []byte(version), ETag: version}, nil
}

// write is answered once its invalidation is confirmed. Without that nothing is promised.
func (tr *trial) write(ctx context.Context) {
	version := tr.stored.Add(1)
	tr.mu.Lock()
	tr.behind = append(tr.behind, version)
	tr.mu.Unlock()
	if killed := rand.N(5) == 0; !killed && tr.any().Invalidate(ctx, eventOf(version)) == nil {
		tr.promise(version)
	}
	pass(time.Duration(rand.N(16_000)) * time.Microsecond)
}

func eventOf(version int64) string { return "event " + strconv.FormatInt(version, 10) }

// livePass heals what the killed have left, on any replica: after it, all that it has
// come to must be seen.
func (tr *trial) livePass(ctx context.Context) {
	tr.mu.Lock()
	batch := tr.behind
	tr.behind = nil
	tr.mu.Unlock()
	ids := make([]string, len(batch))
	for i, version := range batch {
		ids[i] = eventOf(version)
	}
	if len(ids) > 0 && tr.any().Heal(ctx, ids) == nil {
		tr.promise(slices.Max(batch))
	}
	pass(10 * time.Millisecond)
}

func (tr *trial) promise(version int64) {
	for last := tr.answered.Load(); last < version && !tr.answered.CompareAndSwap(last, version); last = tr.answered.Load() {
	}
}

func (tr *trial) read(ctx context.Context) {
	oldest := tr.answered.Load()
	replica := tr.any()
	if begins, ok := replica.(interface {
		Begin(ctx context.Context) context.Context
	}); ok && rand.N(2) == 0 {
		ctx = begins.Begin(ctx)
	}
	got, err := replica.Load(ctx, tr.query)
	if err != nil {
		return
	}
	tr.reads.Add(1)
	if got.Hit {
		tr.hits.Add(1)
	}
	if version, err := strconv.ParseInt(string(got.Body), 10, 64); err != nil || version < oldest {
		tr.stale.Add(1)
	}
}

func (tr *trial) evict(ctx context.Context) {
	victims := []string{tr.prefix + list, tr.prefix + list + ":beside", tr.prefix + list + ":generation", tr.prefix + list + ":confirmed"}
	rand.Shuffle(len(victims), func(i, j int) { victims[i], victims[j] = victims[j], victims[i] })
	tr.Del(ctx, victims[:1+rand.N(len(victims))]...) // all of them: a flush
	pass(time.Duration(rand.N(20_000)) * time.Microsecond)
}

func pass(d time.Duration) { <-time.After(d) }

// CI makes 100,000 reads; LINEAR_READS=1000000 is the long run.
func TestNoReadIsOlderThanTheLastAnsweredWrite(t *testing.T) {
	t.Parallel()
	reads, err := strconv.ParseInt(cmp.Or(os.Getenv("LINEAR_READS"), "100000"), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	s := openRedis(t)
	tr := trial{server: s, open: func() cache { return redisstore.NewListCache(s.replica(), s.prefix, s.log(), nil) }}
	tr.run(t, reads, false)
	t.Logf("%d reads, %d of them hits; %d writes", tr.reads.Load(), tr.hits.Load(), tr.stored.Load())
	if stale := tr.stale.Load(); stale != 0 {
		t.Errorf("%d of %d reads were older than a write answered before", stale, reads)
	}
	if got := tr.reads.Load(); got < reads {
		t.Errorf("only %d of %d reads were made in time", got, reads)
	}
	if hits := tr.hits.Load(); hits < reads/10 {
		t.Errorf("only %d of %d reads were hits: this proves little", hits, reads)
	}
}

// Without these nobody would know that the trial can fail.
func TestACacheThatLiesIsCaught(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(s *server) cache{
		"a write only deletes": func(s *server) cache { return deleteOnly{s, s.prefix + list} },
		"the live pass is trusting": func(s *server) cache {
			return trusting{redisstore.NewListCache(s.replica(), s.prefix, s.log(), nil)}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := openRedis(t)
			tr := trial{server: s, open: func() cache { return open(s) }}
			tr.run(t, 1_000_000, true)
			if tr.stale.Load() == 0 {
				t.Error("the trial never caught it")
			}
		})
	}
}
