package httpapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"example.com/todo/platform/apperr"
	"example.com/todo/platform/session"
	"example.com/todo/todo-service/internal/account"
	"example.com/todo/todo-service/internal/httpapi"
	"example.com/todo/todo-service/internal/memstore"
	"example.com/todo/todo-service/internal/ratelimit"
)

const password = "a long-tailed tit"

// signInFixture is an apiFixture with sign-in.
type signInFixture struct {
	*apiFixture
	accounts *account.Service
	sessions *fakeSessions
	attempts *fakeAttempts
}

func newSignInFixture(t testing.TB, signUpOpen bool) *signInFixture {
	t.Helper()
	f := &signInFixture{sessions: &fakeSessions{SessionStore: memstore.NewSessionStore(start)}, attempts: &fakeAttempts{}}
	accounts, err := account.NewService(account.Config{
		Store: memstore.NewUserStore(), Sessions: f.sessions, Limits: f.attempts, Verify: verifyToken, Now: func() time.Time { return start },
	})
	if err != nil {
		t.Fatal(err)
	}
	f.accounts = accounts
	store := memstore.New()
	f.apiFixture = newFixtureWith(store, func(s *apiFixture) *httpapi.SignIn {
		return &httpapi.SignIn{
			Accounts: accounts, SignUpOpen: signUpOpen, ListSessions: f.sessions.List,
			Credentials: &session.Authenticator{Check: f.sessions.Check},
			Authenticate: func(ctx context.Context, token string, client netip.Addr, _ bool) (context.Context, ratelimit.Decision, error) {
				return f.sessions.authenticate(ctx, s.limiter, token, client)
			},
		}
	})
	f.store = store
	return f
}

// verifyToken takes "issued.<subject>" for a token.
func verifyToken(_ context.Context, token string) (account.Identity, error) {
	subject, valid := strings.CutPrefix(token, "issued.")
	if !valid {
		return account.Identity{}, account.InvalidCredentialsError(nil)
	}
	return account.Identity{Issuer: "https://issuer.example.com", Subject: subject}, nil
}

// signIn makes the user, unless it exists, and returns the token of a new session.
func (f *signInFixture) signIn(t testing.TB, email string) string {
	t.Helper()
	_, err := f.accounts.Create(t.Context(), email, password, account.RoleUser)
	if err != nil && apperr.Of(err).Kind != apperr.AlreadyExists {
		t.Fatal(err)
	}
	response := f.request("POST", "/sessions", fmt.Sprintf(`{"email":%q,"password":%q}`, email, password))
	if response.Status != http.StatusCreated {
		t.Fatalf("sign-in of %s: %d %s", email, response.Status, response.Body)
	}
	var started struct {
		Token string `json:"token"`
	}
	if err := json.Unmarshal([]byte(response.Body), &started); err != nil {
		t.Fatal(err)
	}
	return started.Token
}

// as sends a request with a token in the header.
func (f *signInFixture) as(token, method, target, body string, header ...string) httpResponse {
	return f.request(method, target, body, append([]string{"Authorization", "Bearer " + token}, header...)...)
}

// fakeSessions has the faults of a store of sessions.
type fakeSessions struct {
	*memstore.SessionStore
	away  bool
	loses bool // authenticate loses the session, as a defect may
}

var errAway = apperr.New(apperr.Unavailable, "sessions are away")

func (s *fakeSessions) Create(ctx context.Context, userID int64, role account.Role) (account.Session, error) {
	if s.away {
		return account.Session{}, errAway
	}
	return s.SessionStore.Create(ctx, userID, role)
}

func (s *fakeSessions) Check(ctx context.Context, token string) (session.Session, error) {
	if s.away {
		return session.Session{}, errAway
	}
	return s.SessionStore.Check(ctx, token)
}

func (s *fakeSessions) List(ctx context.Context, userID int64) ([]session.Session, error) {
	if s.away {
		return nil, errAway
	}
	return s.SessionStore.List(ctx, userID)
}

// authenticate is httpapi.SignIn.Authenticate. It counts users as "user:1".
func (s *fakeSessions) authenticate(ctx context.Context, limiter *fakeLimiter, token string, client netip.Addr) (context.Context, ratelimit.Decision, error) {
	if token == "" {
		return ctx, limiter.Allow(ctx, client), nil
	}
	checked, err := s.Check(ctx, token)
	if err != nil {
		return ctx, limiter.Allow(ctx, client), err
	}
	limiter.mu.Lock()
	defer limiter.mu.Unlock()
	limiter.clients = append(limiter.clients, fmt.Sprintf("user:%d", checked.User.ID))
	if s.loses {
		return ctx, limiter.decision, nil
	}
	return session.WithSession(ctx, checked), limiter.decision, nil
}

// fakeAttempts counts nothing, and refuses with err.
type fakeAttempts struct{ err error }

func (a *fakeAttempts) CountSignIn(context.Context, string, netip.Addr) (account.Attempt, error) {
	return account.Attempt{}, a.err
}

func (a *fakeAttempts) GiveBack(context.Context, account.Attempt, bool) error { return nil }

func (a *fakeAttempts) CountSignUp(context.Context, netip.Addr) error { return a.err }
