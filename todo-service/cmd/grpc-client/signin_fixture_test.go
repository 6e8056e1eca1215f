package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/todo/platform/apperr"
	"example.com/todo/platform/grpcserver"
	"example.com/todo/platform/session"
	"example.com/todo/todo-service/internal/account"
	"example.com/todo/todo-service/internal/grpcapi"
	"example.com/todo/todo-service/internal/httpapi"
	"example.com/todo/todo-service/internal/memstore"
	"example.com/todo/todo-service/internal/ratelimit"
)

const password = "a long-tailed tit"

// signInServer is a todo-service with sign-in and the user ann@example.com, by gRPC and HTTP.
type signInServer struct {
	*testServer
	*fakeSessions
	http *httptest.Server
}

// serveWithSignIn serves until the test ends. The commands of the test keep their sessions
// in a folder of its own.
func serveWithSignIn(t *testing.T, cfg grpcserver.Config) *signInServer {
	t.Helper()
	useNewConfigFolder(t)
	sessions := &fakeSessions{users: map[string]int64{}}
	accounts, err := account.NewService(account.Config{Store: memstore.NewUserStore(), Sessions: sessions, Limits: unlimitedAttempts{}, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := accounts.Create(t.Context(), "ann@example.com", password, account.RoleUser); err != nil {
		t.Fatal(err)
	}
	credentials := &session.Authenticator{Check: sessions.check}
	s := &signInServer{fakeSessions: sessions}
	s.testServer = serveWith(t, cfg, &grpcapi.SignIn{Credentials: credentials, Authenticate: sessions.authenticate})
	api := httpapi.New(httpapi.Config{SignIn: &httpapi.SignIn{
		Accounts: accounts, Credentials: credentials,
		Authenticate: func(ctx context.Context, token string, client netip.Addr, _ bool) (context.Context, ratelimit.Decision, error) {
			return sessions.authenticate(ctx, token, client)
		},
	}, ClientIP: func(*http.Request) netip.Addr { return netip.Addr{} }})
	s.http = httptest.NewUnstartedServer(api)
	t.Cleanup(s.http.Close)
	return s
}

// command runs a command against the server, with the input on standard input.
func (s *signInServer) command(t *testing.T, line, input string) result {
	t.Helper()
	return runWithInput(t.Context(), input, append(splitArgs(line), "--addr", s.addr)...)
}

func (s *signInServer) login(t *testing.T) {
	t.Helper()
	got := s.command(t, "login --email ann@example.com --http-url "+s.http.URL, password+"\n")
	wantResult(t, result{Stdout: "Signed in to " + s.addr + " as ann@example.com.\n"}, got)
}

// fakeSessions keeps the sessions in memory.
type fakeSessions struct {
	mu    sync.Mutex
	made  int
	users map[string]int64 // by token
	last  string           // the token that was made last
}

func (s *fakeSessions) Create(_ context.Context, userID int64, _ account.Role) (account.Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.made++
	s.last = fmt.Sprintf("%s%02d", strings.Repeat("T", 40), s.made) + "A"
	s.users[s.last] = userID
	return account.Session{ID: s.last, Token: s.last, ExpiresAt: start.AddDate(0, 0, 1)}, nil
}

func (s *fakeSessions) Revoke(_ context.Context, _ int64, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.users, id)
	return nil
}

func (s *fakeSessions) RevokeAll(context.Context, int64, string) error { return nil }

func (s *fakeSessions) check(_ context.Context, token string) (session.Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if id, found := s.users[token]; found {
		return session.Session{ID: token, User: session.User{ID: id}}, nil
	}
	return session.Session{}, apperr.New(apperr.Unauthenticated, "the request has no valid session; sign in")
}

func (s *fakeSessions) authenticate(ctx context.Context, token string, _ netip.Addr) (context.Context, ratelimit.Decision, error) {
	allowed := ratelimit.Decision{Allowed: true}
	if token == "" {
		return ctx, allowed, nil
	}
	checked, err := s.check(ctx, token)
	return session.WithSession(ctx, checked), allowed, err
}

// count returns the number of sessions.
func (s *fakeSessions) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.users)
}

type unlimitedAttempts struct{}

func (unlimitedAttempts) CountSignIn(context.Context, string, netip.Addr) (account.Attempt, error) {
	return account.Attempt{}, nil
}

func (unlimitedAttempts) GiveBack(context.Context, account.Attempt, bool) error { return nil }

func (unlimitedAttempts) CountSignUp(context.Context, netip.Addr) error { return nil }
