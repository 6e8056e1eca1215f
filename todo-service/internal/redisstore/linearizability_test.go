package redisstore_test

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"example.com/todo/platform/session"
	"example.com/todo/todo-service/internal/listcache"
	"example.com/todo/todo-service/internal/redisstore"
	"example.com/todo/todo-service/internal/task"
)

// cache is under test: the list cache, or one that is known to serve wrong lists.
type cache interface {
	Load(ctx context.Context, owner task.Owner, query func(context.Context) (listcache.Entry, error)) (listcache.Entry, error)
	Invalidate(ctx context.Context, owner task.Owner, eventID string) error
	Heal(ctx context.Context, events []redisstore.CommittedEvent) error
}

// deleteOnly is the plain cache-aside: a write deletes the list. A reader that
// queried before the write puts the old list back after it.
type deleteOnly struct {
	client goredis.UniversalClient
	key    string
}

func (c deleteOnly) Load(ctx context.Context, _ task.Owner, query func(context.Context) (listcache.Entry, error)) (listcache.Entry, error) {
	if body, err := c.client.Get(ctx, c.key).Bytes(); err == nil {
		return listcache.Entry{Body: body, Hit: true}, nil
	}
	list, err := query(ctx)
	if err != nil {
		return listcache.Entry{}, err
	}
	return list, c.client.Set(ctx, c.key, list.Body, time.Minute).Err()
}

func (c deleteOnly) Invalidate(ctx context.Context, _ task.Owner, _ string) error {
	return c.client.Del(ctx, c.key).Err()
}

func (c deleteOnly) Heal(ctx context.Context, _ []redisstore.CommittedEvent) error {
	return c.client.Del(ctx, c.key).Err()
}

// healsNothing is the list cache with a Heal that takes each event for confirmed. The
// list of a writer that died before its invalidation stays in the cache.
type healsNothing struct{ *redisstore.ListCache }

func (healsNothing) Heal(context.Context, []redisstore.CommittedEvent) error { return nil }

// sessionsInTheSameTrip is the list cache behind sign-in: the lookup of the list shares its
// round trip with the check of the session, which names the owner.
type sessionsInTheSameTrip struct {
	*redisstore.ListCache
	authenticator *redisstore.Authenticator
	tokens        map[task.Owner]string
}

func (c sessionsInTheSameTrip) Load(ctx context.Context, owner task.Owner, query func(context.Context) (listcache.Entry, error)) (listcache.Entry, error) {
	ctx, _, err := c.authenticator.Authenticate(ctx, redisstore.AuthRequest{Token: c.tokens[owner], Client: addr, List: true})
	if err != nil {
		return listcache.Entry{}, err
	}
	return c.ListCache.Load(ctx, task.Owner(session.UserFrom(ctx).ID), query)
}

// openWithSessions returns what opens a process for which the owners have signed in.
func openWithSessions(t *testing.T, s *testRedis, owners []task.Owner) func() cache {
	t.Helper()
	tokens := map[task.Owner]string{}
	for _, owner := range owners {
		token, _, err := newReplica(s, s.replica()).sessions.Create(t.Context(), session.User{ID: int64(owner)})
		if err != nil {
			t.Fatal(err)
		}
		tokens[owner] = token
	}
	return func() cache {
		in := newReplica(s, s.replica())
		return sessionsInTheSameTrip{in.cache, in.Authenticator, tokens}
	}
}

// confusesOwners is the list cache with one list for all owners.
type confusesOwners struct{ *redisstore.ListCache }

func (c confusesOwners) Load(ctx context.Context, _ task.Owner, query func(context.Context) (listcache.Entry, error)) (listcache.Entry, error) {
	return c.ListCache.Load(ctx, 7, query)
}

// cacheHistory is a history of writes and reads over replicas that share one Redis.
type cacheHistory struct {
	*testRedis
	open     func() cache // a new process
	replicas [3]atomic.Pointer[cache]
	owners   []*ownerHistory

	mu          sync.Mutex
	pendingHeal []write // committed writes that the live pass has not handled

	reads, hits, stale, foreign atomic.Int64
}

// ownerHistory is about the list of an owner, a number that each write increments.
type ownerHistory struct {
	owner     task.Owner
	stored    atomic.Int64 // the committed list
	confirmed atomic.Int64 // every later read must return at least this
}

type write struct {
	*ownerHistory
	version int64
}

func (w write) event() redisstore.CommittedEvent {
	return redisstore.CommittedEvent{ID: fmt.Sprintf("event %d of %d", w.version, w.owner), Owner: w.owner}
}

func newCacheHistory(s *testRedis, open func() cache, owners ...task.Owner) *cacheHistory {
	h := &cacheHistory{testRedis: s, open: open}
	for _, owner := range owners {
		h.owners = append(h.owners, &ownerHistory{owner: owner})
	}
	return h
}

// run makes that many reads, or stops at the first wrong one. 4 writers and 20 readers
// run concurrently, and queries are slow. Keys are evicted or flushed, writers die
// between commit and invalidation, and processes are replaced while their queries and
// fills are in flight.
func (h *cacheHistory) run(t *testing.T, reads int64, untilWrong bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute+time.Duration(reads)*time.Millisecond)
	defer cancel()
	for i := range h.replicas {
		h.replace(i)
	}
	var all sync.WaitGroup
	repeat := func(step func(context.Context)) {
		all.Go(func() {
			for ctx.Err() == nil && h.reads.Load() < reads && (!untilWrong || h.stale.Load()+h.foreign.Load() == 0) {
				step(ctx)
			}
		})
	}
	for range 4 {
		repeat(h.write)
	}
	for range 20 {
		repeat(h.read)
	}
	for _, step := range []func(context.Context){h.evict, h.livePass, func(context.Context) {
		h.replace(rand.N(len(h.replicas)))
		sleep(50 * time.Millisecond)
	}} {
		repeat(step)
	}
	all.Wait()
}

func (h *cacheHistory) replace(i int) {
	fresh := h.open()
	h.replicas[i].Store(&fresh)
}

func (h *cacheHistory) anyReplica() cache { return *h.replicas[rand.N(len(h.replicas))].Load() }

func (h *cacheHistory) anyOwner() *ownerHistory { return h.owners[rand.N(len(h.owners))] }

func (o *ownerHistory) query(context.Context) (listcache.Entry, error) {
	list := fmt.Sprintf("%d/%d", o.owner, o.stored.Load())
	sleep(time.Duration(rand.N(2_000)) * time.Microsecond)
	return listcache.Entry{Body: []byte(list), ETag: list}, nil
}

// write counts as confirmed once its invalidation is; otherwise nothing is promised.
func (h *cacheHistory) write(ctx context.Context) {
	o := h.anyOwner()
	w := write{o, o.stored.Add(1)}
	h.mu.Lock()
	h.pendingHeal = append(h.pendingHeal, w)
	h.mu.Unlock()
	if killed := rand.N(5) == 0; !killed && h.anyReplica().Invalidate(ctx, w.owner, w.event().ID) == nil {
		w.promise()
	}
	sleep(time.Duration(rand.N(16_000)) * time.Microsecond)
}

// livePass heals what dead writers left, on any replica. Later reads must show the
// writes that it handled.
func (h *cacheHistory) livePass(ctx context.Context) {
	h.mu.Lock()
	batch := h.pendingHeal
	h.pendingHeal = nil
	h.mu.Unlock()
	events := make([]redisstore.CommittedEvent, len(batch))
	for i, w := range batch {
		events[i] = w.event()
	}
	if len(events) > 0 && h.anyReplica().Heal(ctx, events) == nil {
		for _, w := range batch {
			w.promise()
		}
	}
	sleep(10 * time.Millisecond)
}

func (w write) promise() {
	for last := w.confirmed.Load(); last < w.version && !w.confirmed.CompareAndSwap(last, w.version); last = w.confirmed.Load() {
	}
}

func (h *cacheHistory) read(ctx context.Context) {
	o := h.anyOwner()
	oldest := o.confirmed.Load()
	replica := h.anyReplica()
	if prefetcher, ok := replica.(interface {
		Prefetch(ctx context.Context, owner task.Owner) context.Context
	}); ok && rand.N(2) == 0 {
		ctx = prefetcher.Prefetch(ctx, o.owner)
	}
	got, err := replica.Load(ctx, o.owner, o.query)
	if err != nil {
		return
	}
	h.reads.Add(1)
	if got.Hit {
		h.hits.Add(1)
	}
	var owner task.Owner
	var version int64
	if _, err := fmt.Sscanf(string(got.Body), "%d/%d", &owner, &version); err != nil || version < oldest {
		h.stale.Add(1)
	}
	if owner != o.owner {
		h.foreign.Add(1)
	}
}

func (h *cacheHistory) evict(ctx context.Context) {
	victims := []string{h.prefix + list + ":users:epoch", h.prefix + list + ":users:confirmed"}
	for _, o := range h.owners {
		key := h.prefix + listKey(o.owner)
		victims = append(victims, key, key+":beside", key+":generation", key+":confirmed")
	}
	rand.Shuffle(len(victims), func(i, j int) { victims[i], victims[j] = victims[j], victims[i] })
	h.Del(ctx, victims[:1+rand.N(len(victims))]...) // all of them: a flush
	sleep(time.Duration(rand.N(20_000)) * time.Microsecond)
}

func listKey(owner task.Owner) string {
	if owner == 0 {
		return list
	}
	return fmt.Sprintf("%s:%d", list, owner)
}

func sleep(d time.Duration) { <-time.After(d) }

// LINEAR_READS=1000000 is the long run.
func TestListCacheServesNothingOlderThanTheLastConfirmedWrite(t *testing.T) {
	t.Parallel()
	reads, err := strconv.ParseInt(cmp.Or(os.Getenv("LINEAR_READS"), "100000"), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		owners   []task.Owner
		sessions bool
	}{
		"without an owner":               {[]task.Owner{0}, false},
		"two users":                      {[]task.Owner{7, 8}, false},
		"a user and tasks without owner": {[]task.Owner{7, 0}, false},
		"two users with sessions":        {[]task.Owner{7, 8}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := openRedis(t)
			open := func() cache { return redisstore.NewListCache(s.replica(), s.prefix, s.log(), nil) }
			if tt.sessions {
				open = openWithSessions(t, s, tt.owners)
			}
			h := newCacheHistory(s, open, tt.owners...)
			h.run(t, reads, false)
			var writes int64
			for _, o := range h.owners {
				writes += o.stored.Load()
			}
			t.Logf("%d reads, %d of them hits; %d writes", h.reads.Load(), h.hits.Load(), writes)
			if stale := h.stale.Load(); stale != 0 {
				t.Errorf("%d of %d reads were older than a write confirmed before", stale, reads)
			}
			if foreign := h.foreign.Load(); foreign != 0 {
				t.Errorf("%d of %d reads were of another owner's list", foreign, reads)
			}
			if got := h.reads.Load(); got < reads {
				t.Errorf("only %d of %d reads were made in time", got, reads)
			}
			if hits := h.hits.Load(); hits < reads/10 {
				t.Errorf("only %d of %d reads were hits: this proves little", hits, reads)
			}
		})
	}
}

// This test shows that the history can fail.
func TestCacheHistoryDetectsWrongReads(t *testing.T) {
	t.Parallel()
	open := func(s *testRedis) *redisstore.ListCache {
		return redisstore.NewListCache(s.replica(), s.prefix, s.log(), nil)
	}
	heals := func(s *testRedis) cache { return healsNothing{open(s)} }
	for name, tt := range map[string]struct {
		open    func(s *testRedis) cache
		owners  []task.Owner
		foreign bool
	}{
		"a write only deletes":                {func(s *testRedis) cache { return deleteOnly{s, s.prefix + list} }, []task.Owner{0}, false},
		"the live pass heals nothing":         {heals, []task.Owner{0}, false},
		"the live pass heals no user's list":  {heals, []task.Owner{7}, false},
		"a user is shown the list of another": {func(s *testRedis) cache { return confusesOwners{open(s)} }, []task.Owner{7, 8}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := openRedis(t)
			h := newCacheHistory(s, func() cache { return tt.open(s) }, tt.owners...)
			h.run(t, 1_000_000, true)
			if tt.foreign && h.foreign.Load() == 0 || !tt.foreign && h.stale.Load() == 0 {
				t.Error("no wrong read was detected")
			}
		})
	}
}
