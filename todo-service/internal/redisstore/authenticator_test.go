package redisstore_test

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/todo/platform/apperr"
	"example.com/todo/platform/session"
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
	return newReplica(s, s.pipeline)
}

// newReplica returns the Authenticator of a process.
func newReplica(s *testRedis, pipeline *redisstore.AutoPipeline) *signIn {
	cfg := session.Defaults()
	cfg.KeyPrefix = s.prefix
	in := &signIn{
		testRedis: s,
		sessions:  session.NewStore(s, cfg),
		cache:     redisstore.NewListCache(pipeline, s.prefix, s.log(), nil),
	}
	in.Authenticator = redisstore.NewAuthenticator(redisstore.AuthenticatorConfig{
		Sessions: in.sessions, Pipeline: pipeline, Lists: in.cache, Log: s.log(), Registry: s.reg,
		Limiter: redisstore.NewLimiter(pipeline, s.prefix, redisstore.LimiterConfig{Requests: 1_000, Window: time.Minute}, s.log(), nil),
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
	trips := in.network.roundTrips.Load()
	for range 500 {
		in.expectUser(t, token, d, 7)
	}
	if trips = in.network.roundTrips.Load() - trips; trips != 500 {
		t.Errorf("500 hits took %d round trips", trips)
	}
	d.expectQueries(t, 1)
	_ = netip.Addr{}
	_ = context.Background
	_ = cmp.Diff("", "")
}
