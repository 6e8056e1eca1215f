package web_test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/html"

	"example.com/todo/platform/apperr"
	"example.com/todo/platform/session"
	"example.com/todo/todo-service/internal/account"
	"example.com/todo/todo-service/internal/memstore"
	"example.com/todo/todo-service/internal/ratelimit"
	"example.com/todo/todo-service/internal/task"
	"example.com/todo/todo-service/internal/web"
)

const (
	email     = "ann@example.com"
	password  = "a long-tailed tit"
	cookieAge = 720 * time.Hour
)

// signInFixture is a fixture with sign-in.
type signInFixture struct {
	*fixture
	web.SignIn
	sessions *fakeSessions
	attempts *fakeAttempts
	users    *brokenUsers
	counted  []string // clients of forms that Authenticate counted
}

func newSignInFixture(t testing.TB, options ...func(*web.SignIn)) *signInFixture {
	t.Helper()
	f := &signInFixture{sessions: &fakeSessions{}, attempts: &fakeAttempts{}, users: &brokenUsers{UserStore: memstore.NewUserStore()}}
	accounts, err := account.NewService(account.Config{
		Store: f.users, Sessions: f.sessions, Limits: f.attempts, Now: func() time.Time { return start },
	})
	if err != nil {
		t.Fatal(err)
	}
	f.SignIn = web.SignIn{
		Accounts: accounts, SignUpOpen: true, Credentials: &session.Authenticator{Check: f.sessions.Check}, CookieAge: cookieAge,
		Authenticate: f.authenticate, ListSessions: f.sessions.List,
	}
	for _, option := range options {
		option(&f.SignIn)
	}
	f.fixture = newFixtureWith(func(ctx context.Context) task.Owner { return task.Owner(session.UserFrom(ctx).ID) }, &f.SignIn)
	return f
}

func (f *signInFixture) authenticate(ctx context.Context, token string, client netip.Addr) (context.Context, ratelimit.Decision, error) {
	decision := ratelimit.Decision{Allowed: f.refusal == 0, RetryAfter: f.refusal}
	checked, err := session.Session{}, error(nil)
	if token != "" {
		checked, err = f.sessions.Check(ctx, token)
	}
	if checked.User.ID == 0 {
		f.counted = append(f.counted, client.String())
		return ctx, decision, err
	}
	f.counted = append(f.counted, fmt.Sprintf("user:%d", checked.User.ID))
	return session.WithSession(ctx, checked), decision, nil
}

// browser is a browser with a cookie.
type browser struct {
	*signInFixture
	t      testing.TB
	cookie string // as it is sent; "" for none
}

// newUser makes a user and returns a browser in which it has signed in.
func (f *signInFixture) newUser(t testing.TB, email string) *browser {
	t.Helper()
	if _, err := f.Accounts.Create(t.Context(), email, password, account.RoleUser); err != nil {
		t.Fatal(err)
	}
	b := &browser{signInFixture: f, t: t}
	if to := wantRedirect(t, b.signIn(email, password)); to != "/" {
		t.Fatalf("the sign-in leads to %s", to)
	}
	return b
}

// get requests a document.
func (b *browser) get(target string, header ...string) response {
	return b.keep(b.request(http.MethodGet, target, append(header, b.cookieHeader()...)...))
}

// submit sends a form, as one of this page.
func (b *browser) submit(target string, fields url.Values, header ...string) response {
	header = append([]string{"Origin", "http://localhost:8080", "Sec-Fetch-Site", "same-origin"}, header...)
	return b.keep(b.post(target, fields, append(header, b.cookieHeader()...)...))
}

// pressIn sends the form of the button with a name.
func (b *browser) pressIn(root *html.Node, name string, typed url.Values) response {
	b.t.Helper()
	b.header = b.cookieHeader()
	defer func() { b.header = nil }()
	return b.keep(b.press(b.t, root, button(b.t, root, name), typed))
}

func (b *browser) signIn(email, password string) response {
	return b.submit("/page/sign-in", url.Values{"email": {email}, "password": {password}})
}

func (b *browser) cookieHeader() []string {
	if b.cookie == "" {
		return nil
	}
	return []string{"Cookie", b.cookie}
}

// keep keeps the cookie of a response, as a browser does.
func (b *browser) keep(got response) response {
	for _, cookie := range (&http.Response{Header: got.Header}).Cookies() {
		b.cookie = ""
		if cookie.MaxAge >= 0 {
			b.cookie = cookie.Name + "=" + cookie.Value
		}
	}
	return got
}

// brokenUsers is a store of users whose reads fail while err is set.
type brokenUsers struct {
	*memstore.UserStore
	err error
}

func (s *brokenUsers) Get(ctx context.Context, id int64) (account.User, error) {
	if s.err != nil {
		return account.User{}, s.err
	}
	return s.UserStore.Get(ctx, id)
}

// fakeSessions keeps sessions in memory.
type fakeSessions struct {
	mu       sync.Mutex
	sessions []fakeSession
	made     int
	away     bool
	stuck    bool // no session can be ended or listed
	noUser   bool // a check finds a session without a user, as a defect may
}

type fakeSession struct {
	token string
	session.Session
}

var errAway = apperr.New(apperr.Unavailable, "sessions are unavailable at the moment; try again")

func (s *fakeSessions) Create(_ context.Context, userID int64, role account.Role) (account.Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away {
		return account.Session{}, errAway
	}
	s.made++
	var random [32]byte
	_, _ = rand.Read(random[:])
	started := fakeSession{base64.RawURLEncoding.EncodeToString(random[:]), session.Session{
		ID: fmt.Sprintf("S%d", s.made), User: session.User{ID: userID, Role: string(role)},
		CreatedAt: start, LastSeen: start.Add(time.Minute), ExpiresAt: start.AddDate(0, 0, 1),
	}}
	s.sessions = append(s.sessions, started)
	return account.Session{ID: started.ID, Token: started.token, ExpiresAt: started.ExpiresAt}, nil
}

func (s *fakeSessions) Check(_ context.Context, token string) (session.Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away {
		return session.Session{}, errAway
	}
	if s.noUser {
		return session.Session{}, nil
	}
	for _, stored := range s.sessions {
		if stored.token == token {
			return stored.Session, nil
		}
	}
	return session.Session{}, apperr.New(apperr.Unauthenticated, "the request has no valid session; sign in")
}

func (s *fakeSessions) List(_ context.Context, userID int64) (of []session.Session, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away || s.stuck {
		return nil, errAway
	}
	for _, stored := range slices.Backward(s.sessions) {
		if stored.User.ID == userID {
			of = append(of, stored.Session)
		}
	}
	return of, nil
}

func (s *fakeSessions) Revoke(_ context.Context, userID int64, id string) error {
	return s.end(userID, func(sessionID string) bool { return sessionID == id }, apperr.New(apperr.NotFound, "no such session"))
}

func (s *fakeSessions) RevokeAll(_ context.Context, userID int64, except string) error {
	return s.end(userID, func(sessionID string) bool { return sessionID != except }, nil)
}

// end ends the selected sessions of the user. Without one it returns none.
func (s *fakeSessions) end(userID int64, selected func(id string) bool, none error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away || s.stuck {
		return errAway
	}
	before := len(s.sessions)
	s.sessions = slices.DeleteFunc(s.sessions, func(stored fakeSession) bool { return stored.User.ID == userID && selected(stored.ID) })
	if len(s.sessions) == before {
		return none
	}
	return nil
}

// ids returns the ids of the sessions that have not ended, joined.
func (s *fakeSessions) ids() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ids []string
	for _, stored := range s.sessions {
		ids = append(ids, stored.ID)
	}
	return strings.Join(ids, " ")
}

// fakeAttempts notes the addresses that it counts, and refuses with err.
type fakeAttempts struct {
	err      error
	signIns  []netip.Addr
	signUps  []netip.Addr
	returned int
}

func (a *fakeAttempts) CountSignIn(_ context.Context, _ string, client netip.Addr) (account.Attempt, error) {
	a.signIns = append(a.signIns, client)
	return account.Attempt{}, a.err
}

func (a *fakeAttempts) GiveBack(context.Context, account.Attempt, bool) error {
	a.returned++
	return nil
}

func (a *fakeAttempts) CountSignUp(_ context.Context, client netip.Addr) error {
	a.signUps = append(a.signUps, client)
	return a.err
}
