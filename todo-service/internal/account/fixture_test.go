package account_test

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"example.com/todo/platform/apperr"
	"example.com/todo/todo-service/internal/account"
	"example.com/todo/todo-service/internal/memstore"
)

const (
	email    = "ann@example.com"
	password = "a long-tailed tit"
)

var (
	now    = time.Date(2026, 1, 15, 10, 0, 0, 123_456_789, time.UTC)
	client = netip.MustParseAddr("192.0.2.7")
)

// fixture is the service over a store in memory.
type fixture struct {
	*testing.T
	*account.Service
	store    *memstore.UserStore
	sessions *fakeSessions
	limits   *fakeLimits
}

func newFixture(t *testing.T) fixture {
	t.Helper()
	f := fixture{T: t, store: memstore.NewUserStore(), sessions: &fakeSessions{}, limits: &fakeLimits{}}
	service, err := account.NewService(account.Config{
		Store: f.store, Sessions: f.sessions, Limits: f.limits, Verify: verify, Now: func() time.Time { return now },
	})
	if err != nil {
		t.Fatal(err)
	}
	f.Service = service
	return f
}

// create makes a user with the password.
func (f fixture) create(email string) account.User {
	f.Helper()
	u, err := f.Create(f.Context(), email, password, account.RoleUser)
	if err != nil {
		f.Fatal(err)
	}
	return u
}

// signIn starts a session, which must succeed.
func (f fixture) signIn(email, password string) account.Session {
	f.Helper()
	_, session, err := f.SignIn(f.Context(), email, password, client)
	if err != nil {
		f.Fatal(err)
	}
	return session
}

func (f fixture) wantKind(err error, want apperr.Kind) {
	f.Helper()
	if err == nil || apperr.Of(err).Kind != want {
		f.Errorf("got error %v, want one of kind %d", err, want)
	}
}

// wantFields wants an apperr.Invalid about these fields.
func (f fixture) wantFields(err error, want ...string) {
	f.Helper()
	f.wantKind(err, apperr.Invalid)
	var got []string
	for _, field := range apperr.Of(err).Fields {
		got = append(got, field.Name)
	}
	if !slices.Equal(got, want) {
		f.Errorf("the error names %q, want %q", got, want)
	}
}

// wantSessions wants the user to have these sessions, by their ids.
func (f fixture) wantSessions(userID int64, want ...string) {
	f.Helper()
	if got := f.sessions.of(userID); !slices.Equal(got, want) {
		f.Errorf("user %d has the sessions %q, want %q", userID, got, want)
	}
}

var errAway = apperr.New(apperr.Unavailable, "away")

// fakeSessions keeps sessions in memory.
type fakeSessions struct {
	mu       sync.Mutex
	sessions []fakeSession
	last     int
	away     bool
	onCreate func() // called before a session is stored
	onStored func() // called after a session was stored
}

type fakeSession struct {
	id     string
	userID int64
	role   account.Role
}

func (s *fakeSessions) Create(_ context.Context, userID int64, role account.Role) (account.Session, error) {
	if s.onCreate != nil {
		s.onCreate()
	}
	s.mu.Lock()
	if s.away {
		s.mu.Unlock()
		return account.Session{}, errAway
	}
	s.last++
	id := fmt.Sprint(s.last)
	s.sessions = append(s.sessions, fakeSession{id, userID, role})
	s.mu.Unlock()
	if s.onStored != nil {
		s.onStored()
	}
	return account.Session{ID: id, Token: "token-" + id, ExpiresAt: now.Add(time.Hour)}, nil
}

func (s *fakeSessions) Revoke(_ context.Context, userID int64, id string) error {
	before := len(s.of(userID))
	err := s.delete(func(session fakeSession) bool { return session.userID == userID && session.id == id })
	if err == nil && len(s.of(userID)) == before {
		return apperr.New(apperr.NotFound, "no such session")
	}
	return err
}

func (s *fakeSessions) RevokeAll(_ context.Context, userID int64, except string) error {
	return s.delete(func(session fakeSession) bool { return session.userID == userID && session.id != except })
}

func (s *fakeSessions) delete(selected func(fakeSession) bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away {
		return errAway
	}
	s.sessions = slices.DeleteFunc(s.sessions, selected)
	return nil
}

func (s *fakeSessions) of(userID int64) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ids []string
	for _, session := range s.sessions {
		if session.userID == userID {
			ids = append(ids, session.id)
		}
	}
	return ids
}

// fakeLimits records attempts, and refuses them with err.
type fakeLimits struct {
	mu        sync.Mutex
	err       error
	counted   []account.Attempt
	succeeded []account.Attempt
	returned  []account.Attempt // of those that told the client nothing
	signUps   []netip.Addr
}

func (l *fakeLimits) CountSignIn(_ context.Context, name string, client netip.Addr) (account.Attempt, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := account.Attempt{Account: name, Client: client, ID: fmt.Sprint(len(l.counted))}
	l.counted = append(l.counted, a)
	return a, l.err
}

func (l *fakeLimits) GiveBack(ctx context.Context, a account.Attempt, succeeded bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if succeeded {
		l.succeeded = append(l.succeeded, a)
	} else {
		l.returned = append(l.returned, a)
	}
	return nil
}

func (l *fakeLimits) CountSignUp(_ context.Context, client netip.Addr) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.signUps = append(l.signUps, client)
	return l.err
}

// verify takes a token for the subject, unless it is empty.
func verify(_ context.Context, token string) (account.Identity, error) {
	if token == "" {
		return account.Identity{}, account.InvalidCredentialsError(nil)
	}
	return account.Identity{Issuer: "https://issuer.example.com", Subject: token}, nil
}
