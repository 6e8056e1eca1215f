package app

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"

	"example.com/todo/platform/testenv"
)

var (
	watchChanges  = flag.Int("watch.changes", 400, "changes that are made while watchers watch")
	watchWatchers = flag.Int("watch.watchers", 10, "watchers, on both transports and two replicas")
	watchCuts     = flag.Int("watch.cuts", 8, "times that Redis drops all subscriptions")
	watchKills    = flag.Int("watch.kills", 2, "times that a replica is killed")
)

// Whatever becomes of subscriptions and servers, a watcher that comes back with
// its token is told of every change, once, in the order of the log. The long run
// is make prove-watch.
func TestWatchersMissNothingWhileSubscriptionsAreCutAndServersKilled(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	watching, stop := context.WithCancel(t.Context())
	defer stop()
	var running sync.WaitGroup
	followers := make([]*follower, *watchWatchers)
	for i := range followers {
		connect := overGRPC(s.anyConn)
		if i%2 == 0 {
			connect = overHTTP(s.anyHTTP)
		}
		followers[i] = &follower{connect: connect, began: make(chan struct{})}
		running.Go(func() { followers[i].follow(watching) })
	}
	for _, f := range followers {
		<-f.began
	}

	s.change(t, *watchChanges)
	log := s.log(t)
	head := log[len(log)-1].Seq
	testenv.Eventually(t, "every watcher is at the head", func() bool {
		for _, f := range followers {
			if f.place.Load() < head {
				return false
			}
		}
		return true
	})
	stop()
	running.Wait()

	var streams, told, missed, repeated, disordered, wrong int
	for _, f := range followers {
		streams, told = streams+f.streams, told+len(f.told)
		m, r, d, w := judge(log, f.told)
		missed, repeated, disordered, wrong = missed+m, repeated+r, disordered+d, wrong+w
	}
	t.Logf("%d changes, %d watchers with %d streams, %d cuts, %d kills: %d told, %d missed, %d repeated past the token, %d out of order, %d wrong",
		len(log), len(followers), streams, s.cuts.Load(), s.kills.Load(), told, missed, repeated, disordered, wrong)
	if len(log) < *watchChanges || missed+repeated+disordered+wrong > 0 {
		t.Error("that is not what was promised")
	}
	if s.cuts.Load() < int64(*watchCuts) || s.kills.Load() < int64(*watchKills) || streams <= len(followers) {
		t.Error("too little was done to the system")
	}
}

// judge compares what a watcher was told, from the log's beginning, with the log.
func judge(log, told []change) (missed, repeated, disordered, wrong int) {
	last, versions := int64(0), map[int64]int64{}
	seen := map[int64]bool{}
	for _, c := range told {
		if c.Seq <= last {
			repeated++
		}
		if c.Version <= versions[c.TaskID] {
			disordered++
		}
		last, versions[c.TaskID], seen[c.Seq] = c.Seq, c.Version, true
		if c.Seq < 1 || c.Seq > int64(len(log)) || log[c.Seq-1] != c {
			wrong++
		}
	}
	for _, c := range log {
		if !seen[c.Seq] {
			missed++
		}
	}
	return missed, repeated, disordered, wrong
}

func TestTheJudgeFindsEachFault(t *testing.T) {
	t.Parallel()
	a, b, c := change{1, "a", 7, 1}, change{2, "b", 7, 2}, change{3, "c", 8, 1}
	for name, test := range map[string]struct {
		told []change
		want [4]int
	}{
		"everything":   {[]change{a, b, c}, [4]int{}},
		"one is left":  {[]change{a, c}, [4]int{1, 0, 0, 0}},
		"one twice":    {[]change{a, b, b, c}, [4]int{0, 1, 1, 0}},
		"two exchange": {[]change{b, a, c}, [4]int{0, 1, 1, 0}},
		"another id":   {[]change{a, {2, "x", 7, 2}, c}, [4]int{0, 0, 0, 1}},
	} {
		m, r, d, w := judge([]change{a, b, c}, test.told)
		if got := [4]int{m, r, d, w}; got != test.want {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

// system is two replicas on one database, and what is done to them.
type system struct {
	replicas    []*replica
	conns       []*grpc.ClientConn
	redis       *goredis.Client
	user        string // as whom the replicas use Redis
	log         func(*testing.T) []change
	cuts, kills atomic.Int64
}

func newSystem(t *testing.T) *system {
	t.Helper()
	dsn := migrated(t)
	s := &system{redis: goredis.NewClient(&goredis.Options{Addr: testenv.RequireEnv(t, "TEST_REDIS_ADDR")}), user: fmt.Sprintf("watchers-%016x", rand.Uint64())}
	t.Cleanup(func() {
		s.redis.Do(context.WithoutCancel(t.Context()), "ACL", "DELUSER", s.user)
		s.redis.Close()
	})
	if err := s.redis.Do(t.Context(), "ACL", "SETUSER", s.user, "on", ">secret", "~*", "&*", "+@all").Err(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		r := runReplica(t, "POSTGRES_DSN="+dsn.String(), "REDIS_ADDR="+s.redis.Options().Addr, "REDIS_USERNAME="+s.user, "REDIS_PASSWORD=secret",
			"REDIS_KEY_PREFIX="+s.user+":", "KAFKA_BROKERS="+testenv.FreeAddr(t), "RATE_LIMIT_REQUESTS=1000000000",
			"WATCH_MAX_PER_CLIENT=10000", "MAX_CONNS_PER_CLIENT=10000", "LOG_FORMAT=json") // all watchers come from one address
		conn, err := grpc.NewClient(r.grpc, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithConnectParams(grpc.ConnectParams{
			Backoff: backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1, MaxDelay: 50 * time.Millisecond}, MinConnectTimeout: time.Second,
		}))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		s.replicas, s.conns = append(s.replicas, r), append(s.conns, conn)
	}
	db := open(t, dsn)
	s.log = func(t *testing.T) (log []change) {
		t.Helper()
		testenv.Eventually(t, "every event has its place", func() bool {
			var unnumbered int
			return db.Get(&unnumbered, `SELECT count(*) FROM events WHERE seq IS NULL`) == nil && unnumbered == 0
		})
		if err := db.Select(&log, `SELECT seq, id, task_id AS taskid, version FROM events ORDER BY seq`); err != nil {
			t.Fatal(err)
		}
		return log
	}
	return s
}

func (s *system) anyConn() *grpc.ClientConn { return s.conns[rand.N(len(s.conns))] }
func (s *system) anyHTTP() string           { return s.replicas[rand.N(len(s.replicas))].http }

// change makes so many changes, and does harm at even distances.
func (s *system) change(t *testing.T, changes int) {
	t.Helper()
	var made atomic.Int64
	var writers sync.WaitGroup
	for range 8 {
		writers.Go(func() {
			for n := made.Add(1); n <= int64(changes); n = made.Add(1) {
				s.harm(t, n, int64(changes))
				s.write(t, n)
			}
		})
	}
	writers.Wait()
}

// harm cuts all subscriptions, or kills a replica, when it is time to.
func (s *system) harm(t *testing.T, n, changes int64) {
	if n*int64(*watchCuts)/changes > (n-1)*int64(*watchCuts)/changes {
		if err := s.redis.ClientKillByFilter(t.Context(), "TYPE", "pubsub", "USER", s.user).Err(); err != nil {
			t.Errorf("cutting subscriptions: %v", err)
		}
		s.cuts.Add(1)
	}
	if n*int64(*watchKills)/changes > (n-1)*int64(*watchKills)/changes {
		victim := s.replicas[s.kills.Add(1)%2]
		testenv.Eventually(t, "the other one is back", s.replicas[(s.kills.Load()+1)%2].ready)
		victim.kill()
	}
}

// write makes the n-th change, each of which makes an event; it asks until it is
// answered.
func (s *system) write(t *testing.T, n int64) {
	method, target, body := http.MethodPatch, fmt.Sprintf("/tasks/%d", rand.N(20)+1), fmt.Sprintf(`{"title":"%d","done":%t}`, n, n%3 == 0)
	switch {
	case n <= 20 || n%10 == 0:
		method, target = http.MethodPost, "/tasks"
		body = fmt.Sprintf(`{"title":"%d"}`, n)
	case n%101 == 0:
		method, body = http.MethodDelete, ""
	}
	for t.Context().Err() == nil {
		request, err := http.NewRequestWithContext(t.Context(), method, "http://"+s.anyHTTP()+target, strings.NewReader(body))
		if err != nil {
			t.Error(err)
			return
		}
		if body != "" {
			request.Header.Set("Content-Type", "application/json")
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			continue
		}
		response.Body.Close()
		switch response.StatusCode {
		case http.StatusServiceUnavailable:
			continue
		case http.StatusNotFound: // deleted, or not yet there
			method, target, body = http.MethodPost, "/tasks", fmt.Sprintf(`{"title":"%d"}`, n)
			continue
		case http.StatusOK, http.StatusCreated, http.StatusNoContent:
			return
		}
		t.Errorf("%s %s: %d", method, target, response.StatusCode)
		return
	}
}
