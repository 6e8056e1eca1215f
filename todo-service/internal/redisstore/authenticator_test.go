package redisstore_test

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"example.com/todo/platform/apperr"
	"example.com/todo/platform/session"
	"example.com/todo/platform/testenv"
	"example.com/todo/todo-service/internal/ratelimit"
	"example.com/todo/todo-service/internal/redisstore"
	"example.com/todo/todo-service/internal/task"
)

// signIn is an Authenticator with what it uses.
type signIn struct {
	*redisstore.Authenticator
	*testRedis
	sessions *session.Store
	cache    *redisstore.ListCache
}

func openSignIn(t *testing.T, s *testRedis) *signIn {
	t.Helper()
	return newSignIn(s, s.pipeline, s.prefix, s.pipeline, s.reg)
}

// newReplica returns the Authenticator of a process.
func newReplica(s *testRedis, pipeline *redisstore.AutoPipeline) *signIn {
	return newSignIn(s, pipeline, s.prefix, pipeline, nil)
}

// newReplicaOfTwo returns the Authenticator of a process with another Redis for list and limit.
func newReplicaOfTwo(state, cache *testRedis) *signIn {
	return newSignIn(state, state.pipeline, cache.prefix, cache.pipeline, nil)
}

func newSignIn(s *testRedis, check *redisstore.AutoPipeline, prefix string, pipeline *redisstore.AutoPipeline, reg prometheus.Registerer) *signIn {
	cfg := session.Defaults()
	cfg.KeyPrefix = s.prefix
	in := &signIn{
		testRedis: s,
		sessions:  session.NewStore(s, cfg),
		cache:     redisstore.NewListCache(pipeline, prefix, s.log(), nil),
	}
	in.Authenticator = redisstore.NewAuthenticator(redisstore.AuthenticatorConfig{
		Sessions: in.sessions, Pipeline: check, Lists: in.cache, Log: s.log(), Registry: reg,
		Limiter: redisstore.NewLimiter(pipeline, prefix, redisstore.LimiterConfig{Requests: 1_000, Window: time.Minute}, s.log(), nil),
	})
	return in
}

func (in *signIn) newToken(t *testing.T, user int64) string {
	t.Helper()
	token, _, err := in.sessions.Create(t.Context(), session.User{ID: user, Role: "user"})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// get is GET /tasks with the token. A nil error means that the user got the list.
func (in *signIn) get(t *testing.T, token string, d *fakeDatabase) (session.User, ratelimit.Decision, error) {
	t.Helper()
	ctx, decision, err := in.Authenticate(t.Context(), redisstore.AuthRequest{Token: token, Client: addr, List: true})
	user := session.UserFrom(ctx)
	if err != nil {
		return user, decision, err
	}
	list, err := in.cache.Load(ctx, task.Owner(user.ID), d.query)
	if err == nil && string(list.Body) != d.body {
		t.Errorf("user %d got %s, want %s", user.ID, list.Body, d.body)
	}
	return user, decision, err
}

func (in *signIn) expectUser(t *testing.T, token string, d *fakeDatabase, want int64) {
	t.Helper()
	user, decision, err := in.get(t, token, d)
	if err != nil || user.ID != want || !counted(decision) {
		t.Errorf("user %+v, error %v, decision %+v; want a counted request of user %d", user, err, decision, want)
	}
}

func (in *signIn) expectKind(t *testing.T, token string, want apperr.Kind) {
	t.Helper()
	user, decision, err := in.get(t, token, &fakeDatabase{})
	if apperr.Of(err) == nil || apperr.Of(err).Kind != want || user.ID != 0 || !decision.Allowed {
		t.Errorf("user %+v, error %v, decision %+v; want kind %d", user, err, decision, want)
	}
}

// limited returns the names of the budgets that have counted requests, with their number.
func (in *signIn) limited(t *testing.T) (budgets []string) {
	t.Helper()
	prefix := in.prefix + "ratelimit:"
	for _, key := range in.Keys(t.Context(), prefix+"*").Val() {
		budgets = append(budgets, fmt.Sprint(strings.TrimPrefix(key, prefix), " ", in.ZCard(t.Context(), key).Val()))
	}
	slices.Sort(budgets)
	return budgets
}

func TestAuthenticatorChecksLimitsAndLooksUpInOneRoundTrip(t *testing.T) {
	t.Parallel()
	in := openSignIn(t, openRedis(t))
	d := &fakeDatabase{body: `["mine"]`}
	token := in.newToken(t, 7)
	in.expectUser(t, token, d, 7)
	in.expectUser(t, token, d, 7)
	const hits = 500
	trips := in.network.roundTrips.Load()
	for range hits {
		in.expectUser(t, token, d, 7)
	}
	// A round trip may begin between two commands of a request.
	if trips = in.network.roundTrips.Load() - trips; trips > hits*105/100 {
		t.Errorf("%d hits took %d round trips", hits, trips)
	}
	d.expectQueries(t, 1)
	if diff := cmp.Diff([]string{fmt.Sprintf("user:7 %d", hits+2)}, in.limited(t)); diff != "" {
		t.Errorf("counted requests (-want +got):\n%s", diff)
	}

	fewest := [2]int64{math.MaxInt64, math.MaxInt64} // of the first and the second request to a replica
	for range 20 {
		replica := newReplica(in.testRedis, in.replica())
		for i := range fewest {
			trips = in.network.roundTrips.Load()
			replica.expectUser(t, token, d, 7)
			fewest[i] = min(fewest[i], in.network.roundTrips.Load()-trips)
		}
	}
	if want := [2]int64{2, 1}; fewest != want { // at first the replica does not know whose token it is
		t.Errorf("the requests took %d round trips, want %d", fewest, want)
	}
}

func TestAuthenticatorCountsRequestsWithoutASessionByAddress(t *testing.T) {
	t.Parallel()
	in := openSignIn(t, openRedis(t))
	ended := in.newToken(t, 7)
	in.expectUser(t, ended, &fakeDatabase{body: `["mine"]`}, 7)
	if err := in.sessions.RevokeAll(t.Context(), 7, ""); err != nil {
		t.Fatal(err)
	}
	in.expectKind(t, ended, apperr.Unauthenticated)
	in.expectKind(t, ended, apperr.Unauthenticated)
	in.expectKind(t, "malformed", apperr.Unauthenticated)
	in.expectKind(t, strings.Repeat("A", len(ended)), apperr.Unauthenticated)
	in.expectUser(t, "", &fakeDatabase{body: `["without an owner"]`}, 0)
	// The process learns of the end of a session when it has asked for the user's budget.
	if diff := cmp.Diff([]string{"192.0.2.7 5", "user:7 2"}, in.limited(t)); diff != "" {
		t.Errorf("counted requests (-want +got):\n%s", diff)
	}
	if got := in.Remembered(); got != 0 {
		t.Errorf("%d sessions are remembered, want none", got)
	}
}

func TestAuthenticatorLimitsAUserAtAllAddresses(t *testing.T) {
	t.Parallel()
	in := openSignIn(t, openRedis(t))
	tokens := []string{in.newToken(t, 7), in.newToken(t, 7), in.newToken(t, 8)}
	request := func(token, from string) ratelimit.Decision {
		_, decision, err := in.Authenticate(t.Context(), redisstore.AuthRequest{Token: token, Client: netip.MustParseAddr(from)})
		if err != nil || !counted(decision) {
			t.Fatalf("%+v, %v", decision, err)
		}
		return decision
	}
	for i := range 1_000 {
		if !request(tokens[i%2], fmt.Sprintf("192.0.2.%d", i%256)).Allowed {
			t.Fatalf("request %d was rejected", i)
		}
	}
	if got := request(tokens[0], "192.0.2.7"); got.Allowed || got.RetryAfter <= 0 {
		t.Errorf("request 1001 got %+v, want a rejection", got)
	}
	if got := request(tokens[2], "192.0.2.7"); !got.Allowed || got.Remaining != 999 {
		t.Errorf("another user got %+v", got)
	}
}

// Another program, or a Redis from another state, has given the token to another user.
func TestAuthenticatorTrustsTheCheckAndNotItsMemory(t *testing.T) {
	t.Parallel()
	in := openSignIn(t, openRedis(t))
	token := in.newToken(t, 7)
	in.expectUser(t, token, &fakeDatabase{body: `["of 7"]`}, 7)
	in.expectUser(t, token, &fakeDatabase{body: `["of 7"]`}, 7)
	key, err := in.sessions.Key(token)
	if err != nil {
		t.Fatal(err)
	}
	in.HSet(t.Context(), key, "user_id", 8)
	d := &fakeDatabase{body: `["of 8"]`}
	in.expectUser(t, token, d, 8)
	in.expectUser(t, token, d, 8)
	d.expectQueries(t, 1)
	if diff := cmp.Diff([]string{"user:7 3", "user:8 2"}, in.limited(t)); diff != "" {
		t.Errorf("counted requests (-want +got):\n%s", diff)
	}
}

func TestAuthenticatorWithoutSignInReadsTheListWithoutAnOwner(t *testing.T) {
	t.Parallel()
	s := openRedis(t)
	cache := redisstore.NewListCache(s.pipeline, s.prefix, s.log(), nil)
	d := &fakeDatabase{body: `["old"]`}
	testenv.Eventually(t, "the list is cached", func() bool { return load(t, cache, d).Hit })
	authenticator := redisstore.NewAuthenticator(redisstore.AuthenticatorConfig{
		Lists: cache, Log: s.log(), Limiter: redisstore.NewLimiter(s.pipeline, s.prefix, redisstore.LimiterConfig{Requests: 9, Window: time.Minute}, s.log(), nil),
	})
	trips := s.network.roundTrips.Load()
	ctx, decision, err := authenticator.Authenticate(t.Context(), redisstore.AuthRequest{Token: "ignored", Client: addr, List: true})
	if err != nil || decision.Remaining != 8 || session.UserFrom(ctx).ID != 0 {
		t.Errorf("got %+v, %v", decision, err)
	}
	if list, err := cache.Load(ctx, 0, d.query); err != nil || !list.Hit {
		t.Errorf("got %+v, %v, want a hit", list, err)
	}
	if trips = s.network.roundTrips.Load() - trips; trips > 2 { // usually one: limit and lookup share it
		t.Errorf("the request took %d round trips", trips)
	}
	if s.Exists(t.Context(), s.prefix+"ratelimit:192.0.2.7").Val() != 1 {
		t.Error("the request was not counted by its address")
	}
}

func TestAuthenticatorAsksTwoRedisAtTheSameTime(t *testing.T) {
	t.Parallel()
	state, cache := openRedis(t), openOwnRedis(t)
	in := newReplicaOfTwo(state, cache)
	d := &fakeDatabase{body: `["mine"]`}
	token := in.newToken(t, 7)
	for range 3 {
		in.expectUser(t, token, d, 7)
	}
	// The reply to the check is held until the other Redis was asked.
	asked := make(chan struct{})
	cache.network.beforeReply = sync.OnceFunc(func() { close(asked) })
	state.network.beforeReply = func() { <-asked }
	trips := state.network.roundTrips.Load()
	in.expectUser(t, token, d, 7)
	if trips = state.network.roundTrips.Load() - trips; trips != 1 {
		t.Errorf("the check took %d round trips", trips)
	}

	cache.network.down.Store(true)
	if user, decision, err := in.get(t, token, d); err != nil || user.ID != 7 || counted(decision) || !decision.Allowed {
		t.Errorf("without the cache: %+v, %+v, %v; want an uncounted request of user 7", user, decision, err)
	}
	cache.network.down.Store(false)
	state.network.down.Store(true)
	in.expectKind(t, token, apperr.Unavailable)
}

func TestAuthenticatorShowsManyUsersTheirOwnLists(t *testing.T) {
	t.Parallel()
	in := openSignIn(t, openRedis(t))
	const users = 30
	var group sync.WaitGroup
	for user := range int64(users) {
		token := in.newToken(t, user+1)
		group.Go(func() {
			for i := range 50 {
				in.expectUser(t, token, &fakeDatabase{body: fmt.Sprintf(`["list %d of %d"]`, i/5, user+1)}, user+1)
				if i%5 == 4 {
					invalidateUser(t, in.cache, task.Owner(user+1), "")
				}
			}
		})
	}
	group.Wait()
}
