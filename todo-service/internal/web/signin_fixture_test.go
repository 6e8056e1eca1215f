package web_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
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
	f := &signInFixture{sessions: &fakeSessions{SessionStore: memstore.NewSessionStore(start)}, attempts: &fakeAttempts{}, users: &brokenUsers{UserStore: memstore.NewUserStore()}}
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

// fakeSessions has the faults of a store of sessions.
type fakeSessions struct {
	*memstore.SessionStore
	away   bool
	stuck  bool // no session can be ended or listed
	noUser bool // a check finds a session without a user, as a defect may
}

var errAway = apperr.New(apperr.Unavailable, "sessions are unavailable at the moment; try again")

func (s *fakeSessions) Create(ctx context.Context, userID int64, role account.Role) (account.Session, error) {
	if s.away {
		return account.Session{}, errAway
	}
	return s.SessionStore.Create(ctx, userID, role)
}

func (s *fakeSessions) Check(ctx context.Context, token string) (session.Session, error) {
	switch {
	case s.away:
		return session.Session{}, errAway
	case s.noUser:
		return session.Session{}, nil
	}
	return s.SessionStore.Check(ctx, token)
}

func (s *fakeSessions) List(ctx context.Context, userID int64) ([]session.Session, error) {
	if s.away || s.stuck {
		return nil, errAway
	}
	return s.SessionStore.List(ctx, userID)
}

func (s *fakeSessions) Revoke(ctx context.Context, userID int64, id string) error {
	if s.away || s.stuck {
		return errAway
	}
	return s.SessionStore.Revoke(ctx, userID, id)
}

func (s *fakeSessions) RevokeAll(ctx context.Context, userID int64, except string) error {
	if s.away || s.stuck {
		return errAway
	}
	return s.SessionStore.RevokeAll(ctx, userID, except)
}

// ids returns the ids of the sessions that have not ended, joined.
func (s *fakeSessions) ids() string {
	return strings.Join(slices.Sorted(maps.Keys(s.Tokens())), " ")
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
