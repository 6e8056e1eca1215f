package redisstore

import (
	"context"
	"log/slog"
	"net/netip"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	goredis "github.com/redis/go-redis/v9"

	"example.com/todo/platform/apperr"
	"example.com/todo/platform/retry"
	"example.com/todo/platform/session"
	"example.com/todo/todo-service/internal/ratelimit"
	"example.com/todo/todo-service/internal/task"
)

// maxRememberedSessions bounds the sessions whose user a process remembers: some 5 MB.
const maxRememberedSessions = 20_000

// Authenticator authenticates requests by their session, counts them against the rate
// limit, and starts the lookup of the cached list, in one round trip to Redis. It is safe
// for concurrent use.
//
//	                     session known to this process   new session
//	first round trip     check, limit, lookup            check
//	second round trip                                    limit, lookup
//
// A process remembers the user of a session, and only that: each request is checked. The
// results of limit and lookup count only if the check names that user.
type Authenticator struct {
	cfg   AuthenticatorConfig
	users *lru.Cache[string, task.Owner] // by the session's key

	checkScript *goredis.Script
	checkArgs   []any

	outage      *retry.Outage
	unavailable prometheus.Counter
}

// AuthenticatorConfig holds the dependencies of an Authenticator.
type AuthenticatorConfig struct {
	// Sessions has the sessions. If it is nil, there is no sign-in: tokens are ignored, and
	// the list is that without an owner.
	Sessions *session.Store
	// Pipeline leads to the Redis of the sessions. If that is the Redis of list and limit,
	// it is their pipeline; if not, both are asked at the same time.
	Pipeline *AutoPipeline
	Lists    *ListCache
	Limiter  *Limiter
	Log      *slog.Logger
	Registry prometheus.Registerer
}

// NewAuthenticator returns an Authenticator. It neither dials nor fails.
func NewAuthenticator(cfg AuthenticatorConfig) *Authenticator {
	users, _ := lru.New[string, task.Owner](maxRememberedSessions) // only a bound below 1 is an error
	a := &Authenticator{
		cfg:    cfg,
		users:  users,
		outage: retry.NewOutage(cfg.Log, "sessions: Redis failed, signed-in requests are refused until it recovers", "sessions: Redis works again"),
		unavailable: promauto.With(cfg.Registry).NewCounter(prometheus.CounterOpts{
			Name: "todo_session_checks_unavailable_total",
			Help: "Requests refused because Redis did not answer the check of their session.",
		}),
	}
	a.outage.Settle = settleTime
	if cfg.Sessions != nil {
		a.checkScript, a.checkArgs = cfg.Sessions.CheckScript()
	}
	return a
}

// AuthRequest is what an Authenticator needs of a request.
type AuthRequest struct {
	Token  string // of the session; "" for none
	Client netip.Addr
	List   bool // whether the request reads the unfiltered list
}

// Authenticate returns ctx with the session of the token, if any, for session.From, and
// with the prefetched lookup, if asked for, for ListCache.Load. The decision is about the
// budget of the user or, without a session, of the client's address.
//
// The error is apperr.Unauthenticated if the token has no session. It is
// apperr.Unavailable, within 50 ms, if Redis does not answer; the request is then not
// counted. With an error ctx has no session, and the decision is still valid.
func (a *Authenticator) Authenticate(ctx context.Context, r AuthRequest) (context.Context, ratelimit.Decision, error) {
	if a.cfg.Sessions == nil {
		admitted := a.startOwner(ctx, 0, r)
		return admitted.ctx, a.cfg.Limiter.decide(ctx, admitted.limit), nil
	}
	if r.Token == "" {
		return ctx, a.cfg.Limiter.Allow(ctx, r.Client), nil
	}
	key, err := a.cfg.Sessions.Key(r.Token)
	if err != nil {
		return ctx, a.cfg.Limiter.Allow(ctx, r.Client), err
	}

	check := a.cfg.Pipeline.start(ctx, checkCommand{a, key})
	user, remembered := a.users.Get(key)
	var started ownerCommands
	if remembered {
		started = a.startOwner(ctx, user, r)
	}
	checked, err := a.waitForCheck(ctx, check)
	switch {
	case err != nil && apperr.Of(err).Kind == apperr.Unauthenticated:
		a.users.Remove(key)
		return ctx, a.cfg.Limiter.Allow(ctx, r.Client), err
	case err != nil:
		return ctx, a.cfg.Limiter.uncounted(), err
	}
	if owner := task.Owner(checked.User.ID); !remembered || user != owner {
		a.users.Add(key, owner)
		started = a.startOwner(ctx, owner, r)
	}
	return session.WithSession(started.ctx, checked), a.cfg.Limiter.decide(ctx, started.limit), nil
}

// ownerCommands are commands on their way that concern the owner of a request.
type ownerCommands struct {
	ctx   context.Context // has the prefetched lookup
	limit pending
}

// startOwner adds limit and lookup to the next round trip.
func (a *Authenticator) startOwner(ctx context.Context, owner task.Owner, r AuthRequest) ownerCommands {
	b := budget{user: owner}
	if owner == 0 {
		b = clientBudget(r.Client)
	}
	if r.List {
		ctx = a.cfg.Lists.Prefetch(ctx, owner)
	}
	return ownerCommands{ctx, a.cfg.Limiter.start(ctx, b)}
}

// waitForCheck returns the session, apperr.Unauthenticated or apperr.Unavailable.
func (a *Authenticator) waitForCheck(ctx context.Context, check pending) (session.Session, error) {
	checked, err := check.wait(ctx)
	if err == nil {
		a.outage.Record(ctx, nil)
		return checked.(session.Session), nil
	}
	kind := apperr.Of(err).Kind
	switch {
	case kind == apperr.Unauthenticated:
		a.outage.Record(ctx, nil)
	case ctx.Err() == nil: // otherwise the caller has left, and Redis may be well
		a.unavailable.Inc()
		a.outage.Record(ctx, err)
	}
	if kind == apperr.Internal {
		err = apperr.New(apperr.Unavailable, "sessions are unavailable at the moment; try again").WithCause(err)
	}
	return session.Session{}, err
}

// checkCommand checks the session with the key. Its result is a session.Session.
type checkCommand struct {
	authenticator *Authenticator
	key           string
}

func (c checkCommand) build(int) scriptCall {
	a := c.authenticator
	return scriptCall{
		script: a.checkScript,
		keys:   []string{c.key},
		args:   a.checkArgs,
		decode: func(reply *goredis.Cmd) (any, error) { return a.cfg.Sessions.DecodeCheck(c.key, reply) },
	}
}
