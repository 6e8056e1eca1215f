package app

import (
	"context"
	"log/slog"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	goredis "github.com/redis/go-redis/v9"

	"example.com/todo/platform/lifecycle"
	"example.com/todo/platform/session"
	"example.com/todo/todo-service/internal/account"
	"example.com/todo/todo-service/internal/grpcapi"
	"example.com/todo/todo-service/internal/httpapi"
	"example.com/todo/todo-service/internal/oidcverifier"
	"example.com/todo/todo-service/internal/pgstore"
	"example.com/todo/todo-service/internal/ratelimit"
	"example.com/todo/todo-service/internal/redisstore"
	"example.com/todo/todo-service/internal/web"
)

// signIn has the parts of sign-in. It is nil where there is no sign-in.
type signIn struct {
	accounts    *account.Service
	signUpOpen  bool
	sessions    *session.Store
	maxAge      time.Duration // of a session
	watcher     *session.Watcher
	credentials *session.Authenticator
	requests    *redisstore.Authenticator
}

// newSignIn returns the parts of sign-in over the Redis of the durable state, or nil if
// cfg.Auth.Mode is off.
func newSignIn(cfg Config, store *pgstore.Store, state goredis.UniversalClient, caches caches, log *slog.Logger, registry *prometheus.Registry) (*signIn, error) {
	if !cfg.hasSignIn() {
		return nil, nil //nolint:nilnil // the methods accept nil
	}
	sessions := session.NewStore(state, cfg.sessions())
	accounts, err := newAccounts(cfg, store, state, sessions)
	if err != nil {
		return nil, err
	}
	pipeline := caches.pipeline
	if state != caches.client {
		pipeline = redisstore.NewAutoPipeline(state)
	}
	watcher := session.NewWatcher(sessions, log)
	return &signIn{
		accounts:   accounts,
		signUpOpen: cfg.Auth.SignUp == "open",
		sessions:   sessions,
		maxAge:     cfg.Session.MaxAge,
		watcher:    watcher,
		credentials: &session.Authenticator{
			Check: sessions.Check, Watcher: watcher, Secure: cfg.HTTP.IsSecure(cfg.Web.PublicURL),
		},
		requests: redisstore.NewAuthenticator(redisstore.AuthenticatorConfig{
			Sessions: sessions, Pipeline: pipeline, Lists: caches.lists, Limiter: caches.limiter, Log: log, Registry: registry,
		}),
	}, nil
}

// newAccounts returns the application service of users.
func newAccounts(cfg Config, store *pgstore.Store, state goredis.UniversalClient, sessions *session.Store) (*account.Service, error) {
	deps := account.Config{
		Store:    pgstore.NewUserStore(store),
		Sessions: accountSessions{sessions},
		Limits:   redisstore.NewAttemptLimits(state, cfg.Redis.KeyPrefix),
		Now:      time.Now,
	}
	if cfg.Auth.OIDC.Issuer != "" {
		deps.Verify = oidcverifier.New(cfg.Auth.OIDC, time.Now).Verify
	}
	return account.NewService(deps)
}

// accountSessions is the account.Sessions over a store of sessions.
type accountSessions struct{ *session.Store }

// Create implements account.Sessions.
func (s accountSessions) Create(ctx context.Context, userID int64, role account.Role) (account.Session, error) {
	token, started, err := s.Store.Create(ctx, session.User{ID: userID, Role: string(role)})
	return account.Session{ID: started.ID, Token: token, ExpiresAt: started.ExpiresAt}, err
}

// forHTTP returns the dependencies of the HTTP API.
func (s *signIn) forHTTP() *httpapi.SignIn {
	if s == nil {
		return nil
	}
	return &httpapi.SignIn{
		Accounts:     s.accounts,
		SignUpOpen:   s.signUpOpen,
		Credentials:  s.credentials,
		ListSessions: s.sessions.List,
		Authenticate: func(ctx context.Context, token string, client netip.Addr, prefetchList bool) (context.Context, ratelimit.Decision, error) {
			return s.requests.Authenticate(ctx, redisstore.AuthRequest{Token: token, Client: client, List: prefetchList})
		},
	}
}

// forGRPC returns the dependencies of the gRPC API.
func (s *signIn) forGRPC() *grpcapi.SignIn {
	if s == nil {
		return nil
	}
	return &grpcapi.SignIn{Credentials: s.credentials, Authenticate: s.authenticate}
}

// forPage returns the dependencies of the page.
func (s *signIn) forPage() *web.SignIn {
	if s == nil {
		return nil
	}
	return &web.SignIn{
		Accounts: s.accounts, SignUpOpen: s.signUpOpen, Credentials: s.credentials, CookieAge: s.maxAge, ListSessions: s.sessions.List,
		Authenticate: s.authenticate,
	}
}

// authenticate checks and counts a request that does not read the cached list.
func (s *signIn) authenticate(ctx context.Context, token string, client netip.Addr) (context.Context, ratelimit.Decision, error) {
	return s.requests.Authenticate(ctx, redisstore.AuthRequest{Token: token, Client: client})
}

// parts returns the parts that run: they end streams with their session.
func (s *signIn) parts() lifecycle.Stage {
	if s == nil {
		return nil
	}
	return lifecycle.Stage{s.watcher}
}
