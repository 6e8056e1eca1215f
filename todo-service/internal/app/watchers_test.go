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

	"github.com/jmoiron/sqlx"
	goredis "github.com/redis/go-redis/v9"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"

	"example.com/todo/platform/testenv"
)

var (
	watchChanges  = flag.Int("watch.changes", 400, "number of changes")
	watchWatchers = flag.Int("watch.watchers", 10, "number of watchers, over both transports and two replicas")
	watchCuts     = flag.Int("watch.cuts", 8, "number of times that Redis drops all subscriptions")
	watchKills    = flag.Int("watch.kills", 2, "number of times that a replica is killed")
)

// A watcher that resumes with its token must receive every change of its user once, in the
// order of the event log, and no other. make prove-watch is the long run.
func TestWatchersMissNothingWhileSubscriptionsAreCutAndReplicasAreKilled(t *testing.T) {
	t.Parallel()
	for name, users := range map[string]int{"without sign-in": 0, "with sign-in": 3} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testWatchers(t, newWatchFixture(t, users))
		})
	}
}

func testWatchers(t *testing.T, s *watchFixture) {
	t.Helper()
	watching, stop := context.WithCancel(t.Context())
	defer stop()
	var running sync.WaitGroup
	watchers := make([]*watchClient, *watchWatchers)
	for i := range watchers {
		user := s.users[i/2%len(s.users)] // each user watches over both transports
		connect := overGRPC(s.anyConn, user)
		if i%2 == 0 {
			connect = overHTTP(s.anyHTTP, user)
		}
		watchers[i] = &watchClient{connect: connect, user: user.id, started: make(chan struct{})}
		running.Go(func() { watchers[i].watch(watching) })
	}
	for _, f := range watchers {
		<-f.started
	}

	s.writeChanges(t, *watchChanges)
	logs, changes := s.readEventLogs(t)
	testenv.Eventually(t, "every watcher is at the end of its user's log", func() bool {
		for _, f := range watchers {
			if log := logs[f.user]; f.position.Load() < log[len(log)-1].Seq {
				return false
			}
		}
		return true
	})
	stop()
	running.Wait()

	var streams, received, missed, repeated, disordered, wrong int
	for _, f := range watchers {
		streams, received = streams+f.streams, received+len(f.received)
		m, r, d, w := compareWithLog(logs[f.user], f.received)
		missed, repeated, disordered, wrong = missed+m, repeated+r, disordered+d, wrong+w
	}
	t.Logf("%d changes of %d users, %d watchers with %d streams, %d cuts, %d kills: %d received, %d missed, %d repeated past the token, %d out of order, %d wrong",
		changes, len(s.users), len(watchers), streams, s.cuts.Load(), s.kills.Load(), received, missed, repeated, disordered, wrong)
	if changes < *watchChanges || missed+repeated+disordered+wrong > 0 {
		t.Error("want no change missed, repeated, out of order or wrong")
	}
	if s.cuts.Load() < int64(*watchCuts) || s.kills.Load() < int64(*watchKills) || streams <= len(watchers) {
		t.Error("too few faults were injected")
	}
}

// compareWithLog compares what a watcher received since the log was empty with its user's
// log. Another user's event is wrong.
func compareWithLog(log, received []receivedEvent) (missed, repeated, disordered, wrong int) {
	last, versions := int64(0), map[int64]int64{}
	logged, seen := map[int64]receivedEvent{}, map[int64]bool{}
	for _, c := range log {
		logged[c.Seq] = c
	}
	for _, c := range received {
		if c.Seq <= last {
			repeated++
		}
		if c.Version <= versions[c.TaskID] {
			disordered++
		}
		last, versions[c.TaskID], seen[c.Seq] = c.Seq, c.Version, true
		if logged[c.Seq] != c {
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

func TestCompareWithLogFindsEveryDeviation(t *testing.T) {
	t.Parallel()
	a, b, c := receivedEvent{1, "a", 7, 1}, receivedEvent{2, "b", 7, 2}, receivedEvent{4, "c", 8, 1}
	for name, test := range map[string]struct {
		received []receivedEvent
		want     [4]int
	}{
		"everything":   {[]receivedEvent{a, b, c}, [4]int{}},
		"one missing":  {[]receivedEvent{a, c}, [4]int{1, 0, 0, 0}},
		"one twice":    {[]receivedEvent{a, b, b, c}, [4]int{0, 1, 1, 0}},
		"two swapped":  {[]receivedEvent{b, a, c}, [4]int{0, 1, 1, 0}},
		"another id":   {[]receivedEvent{a, {2, "x", 7, 2}, c}, [4]int{0, 0, 0, 1}},
		"a stranger's": {[]receivedEvent{a, b, {3, "s", 9, 1}, c}, [4]int{0, 0, 0, 1}},
	} {
		m, r, d, w := compareWithLog([]receivedEvent{a, b, c}, test.received)
		if got := [4]int{m, r, d, w}; got != test.want {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

// watchFixture is two replicas on one database, with fault injection.
type watchFixture struct {
	replicas    []*replica
	conns       []*grpc.ClientConn
	redis       *goredis.Client
	redisUser   string // of the replicas
	users       []watchUser
	db          *sqlx.DB
	cuts, kills atomic.Int64
}

// watchUser is a user with a session. The zero value stands for all clients where there is
// no sign-in.
type watchUser struct {
	id    int64
	token string
}

// newWatchFixture starts the replicas with sign-in and that many users, or without sign-in.
func newWatchFixture(t *testing.T, users int) *watchFixture {
	t.Helper()
	dsn, mode := migratedDatabase(t), "off"
	if users > 0 {
		mode = "on"
	}
	s := &watchFixture{redis: goredis.NewClient(&goredis.Options{Addr: testenv.RequireEnv(t, "TEST_REDIS_ADDR")}), redisUser: fmt.Sprintf("watchers-%016x", rand.Uint64())}
	t.Cleanup(func() {
		s.redis.Do(context.WithoutCancel(t.Context()), "ACL", "DELUSER", s.redisUser)
		s.redis.Close()
	})
	if err := s.redis.Do(t.Context(), "ACL", "SETUSER", s.redisUser, "on", ">secret", "~*", "&*", "+@all").Err(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		r := runReplica(t, "POSTGRES_DSN="+dsn.String(), "REDIS_ADDR="+s.redis.Options().Addr, "REDIS_USERNAME="+s.redisUser, "REDIS_PASSWORD=secret",
			"REDIS_KEY_PREFIX="+s.redisUser+":", "KAFKA_BROKERS="+testenv.FreeAddr(t), "AUTH_MODE="+mode, "AUTH_SIGNUP=open", "RATE_LIMIT_REQUESTS=1000000000",
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
	s.db = openDatabase(t, dsn)
	if users == 0 {
		s.users = []watchUser{{}}
	}
	for i := range users {
		s.users = append(s.users, signUp(t, s.replicas[0].http, int64(i+1)))
	}
	return s
}

// signUp makes the user with the id, the next one of an empty database, and signs it in.
func signUp(t *testing.T, addr string, id int64) watchUser {
	t.Helper()
	f := signInFixture{TB: t, client: http.DefaultClient}
	f.cfg.HTTP.Addr = addr
	email := fmt.Sprintf("user%d@example.com", id)
	f.signUp(email)
	return watchUser{id, f.signIn(email)}
}

// readEventLogs returns the events of each user, and the number of all.
func (s *watchFixture) readEventLogs(t *testing.T) (logs map[int64][]receivedEvent, changes int) {
	t.Helper()
	testenv.Eventually(t, "every event has a seq", func() bool {
		var unassigned int
		return s.db.Get(&unassigned, `SELECT count(*) FROM events WHERE seq IS NULL`) == nil && unassigned == 0
	})
	logs = map[int64][]receivedEvent{}
	for _, user := range s.users {
		var log []receivedEvent
		if err := s.db.Select(&log, `SELECT seq, id, task_id AS taskid, version FROM events WHERE coalesce(user_id, 0) = $1 ORDER BY seq`, user.id); err != nil {
			t.Fatal(err)
		}
		logs[user.id], changes = log, changes+len(log)
	}
	return logs, changes
}

func (s *watchFixture) anyConn() *grpc.ClientConn { return s.conns[rand.N(len(s.conns))] }
func (s *watchFixture) anyHTTP() string           { return s.replicas[rand.N(len(s.replicas))].http }

// writeChanges writes changes, and injects faults at even distances.
func (s *watchFixture) writeChanges(t *testing.T, changes int) {
	t.Helper()
	var count atomic.Int64
	var writers sync.WaitGroup
	for range 8 {
		writers.Go(func() {
			for n := count.Add(1); n <= int64(changes); n = count.Add(1) {
				s.injectFaults(t, n, int64(changes))
				s.writeChange(t, n)
			}
		})
	}
	writers.Wait()
}

// injectFaults cuts all subscriptions, or kills a replica, if the n-th change is due for it.
func (s *watchFixture) injectFaults(t *testing.T, n, changes int64) {
	if n*int64(*watchCuts)/changes > (n-1)*int64(*watchCuts)/changes {
		if err := s.redis.ClientKillByFilter(t.Context(), "TYPE", "pubsub", "USER", s.redisUser).Err(); err != nil {
			t.Errorf("cutting subscriptions: %v", err)
		}
		s.cuts.Add(1)
	}
	if n*int64(*watchKills)/changes > (n-1)*int64(*watchKills)/changes {
		victim := s.replicas[s.kills.Add(1)%2]
		testenv.Eventually(t, "the other replica is ready", s.replicas[(s.kills.Load()+1)%2].ready)
		victim.kill()
	}
}

// writeChange makes the n-th change, which makes an event of one of the users. It repeats
// the request until it gets a response.
func (s *watchFixture) writeChange(t *testing.T, n int64) {
	user := s.users[n%int64(len(s.users))]
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
		user.authorize(request)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			continue
		}
		response.Body.Close()
		switch response.StatusCode {
		case http.StatusServiceUnavailable:
			continue
		case http.StatusNotFound: // deleted, not yet there, or another user's
			method, target, body = http.MethodPost, "/tasks", fmt.Sprintf(`{"title":"%d"}`, n)
			continue
		case http.StatusOK, http.StatusCreated, http.StatusNoContent:
			return
		}
		t.Errorf("%s %s: %d", method, target, response.StatusCode)
		return
	}
}
