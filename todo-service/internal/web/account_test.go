package web_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"example.com/todo/platform/apperr"
	"example.com/todo/todo-service/internal/account"
)

func TestAccountListsTheSessionsAndEndsEach(t *testing.T) {
	t.Parallel()
	f := newSignInFixture(t)
	b := f.newUser(t, email)
	f.newUser(t, "bob@example.com")
	elsewhere := &browser{signInFixture: f, t: t}
	wantRedirect(t, elsewhere.signIn(email, password))
	root := b.get("/page/account").parse(t)
	lines := elements(root, func(n *html.Node) bool { return n.Data == "li" })
	if len(lines) != 2 {
		t.Fatalf("%d sessions", len(lines))
	}
	const times = "Last seen 15 Jan 2026, 10:01 UTC, expires 16 Jan 2026, 10:00 UTC"
	for i, want := range []string{"Made 15 Jan 2026, 10:00 UTC " + times + " End", "Made 15 Jan 2026, 10:00 UTC This one " + times + " Sign out"} {
		if got := text(lines[i]); got != want {
			t.Errorf("the session reads %q", got)
		}
	}
	for range 2 { // the second time it has ended already
		if to := wantRedirect(t, b.pressIn(root, "End", nil)); to != "/page/account" {
			t.Errorf("it leads to %s", to)
		}
	}
	if got := elsewhere.get("/"); h1(got.parse(t)) != "Sign in to Tasks" || f.sessions.ids() != "S1 S2" {
		t.Errorf("the ended session gets %d; sessions %s", got.Status, f.sessions.ids())
	}
	wantRedirect(t, b.submit("/page/account/sessions/S2/end", nil)) // of another user
	if got := f.sessions.ids(); got != "S1 S2" {
		t.Errorf("the sessions are %s", got)
	}
}

func TestSignOutEverywhereEndsAllSessionsOfTheUser(t *testing.T) {
	t.Parallel()
	f := newSignInFixture(t)
	b := f.newUser(t, email)
	f.newUser(t, "bob@example.com")
	wantRedirect(t, (&browser{signInFixture: f, t: t}).signIn(email, password))
	root := b.get("/page/account").parse(t)
	if to := wantRedirect(t, b.pressIn(root, "Sign out everywhere", nil)); to != "/" || b.cookie != "" || f.sessions.ids() != "S2" {
		t.Errorf("it leads to %s; the cookie is %q, the sessions are %s", to, b.cookie, f.sessions.ids())
	}
	wantRedirect(t, b.signIn(email, password))
	f.sessions.stuck = true
	got := b.submit("/page/account/sessions/end", nil)
	if shown := text(got.parse(t)); got.Status != http.StatusServiceUnavailable || b.cookie == "" || !strings.Contains(shown, "Not confirmed Sessions are unavailable at the moment. Send it again in 1 second") {
		t.Errorf("sessions that cannot be ended: %d %s", got.Status, shown)
	}
}

func TestPasswordIsChangedAndOtherSessionsEnd(t *testing.T) {
	t.Parallel()
	f := newSignInFixture(t)
	b := f.newUser(t, email)
	wantRedirect(t, (&browser{signInFixture: f, t: t}).signIn(email, password))
	root := b.get("/page/account").parse(t)
	const next = "three blind mice run"
	for _, test := range []struct {
		current, next  string
		field, problem string
	}{
		{"a wrong password", next, "current", "This is not the current password."},
		{password, "short", "new", "The password must have from 12 to 128 characters"},
	} {
		got := b.pressIn(root, "Change the password", url.Values{"current_password": {test.current}, "password": {test.next}})
		if problem := text(element(t, got.parse(t), test.field+"-problem")); got.Status != http.StatusUnprocessableEntity || !strings.HasPrefix(problem, test.problem) {
			t.Errorf("%+v: %d %q", test, got.Status, problem)
		}
		if strings.Contains(got.Body, test.current) || strings.Contains(got.Body, `value="short"`) {
			t.Errorf("%+v: the document has a password", test)
		}
	}
	got := b.pressIn(root, "Change the password", url.Values{"current_password": {password}, "password": {next}})
	if shown := text(b.get(wantRedirect(t, got)).parse(t)); !strings.Contains(shown, "The password is changed.") || f.sessions.ids() != "S1" {
		t.Errorf("the sessions are %s; the document says %s", f.sessions.ids(), shown)
	}
	wantRedirect(t, (&browser{signInFixture: f, t: t}).signIn(email, next))
}

func TestUserOfAnIssuerHasNoPasswordToChange(t *testing.T) {
	t.Parallel()
	f := newSignInFixture(t)
	u, err := f.users.Create(t.Context(), account.User{Identity: account.Identity{Issuer: "https://issuer.example", Subject: "7"}, Role: account.RoleUser})
	if err != nil {
		t.Fatal(err)
	}
	started, err := f.sessions.Create(t.Context(), u.ID, u.Role)
	if err != nil {
		t.Fatal(err)
	}
	b := &browser{signInFixture: f, t: t, cookie: "session=" + started.Token}
	if got := b.get("/page/account"); got.Status != http.StatusOK || strings.Contains(got.Body, "assword") {
		t.Errorf("got %d %s", got.Status, got.Body)
	}
	got := b.submit("/page/account/password", url.Values{"current_password": {password}, "password": {password}})
	if shown := text(got.parse(t)); got.Status != http.StatusForbidden || !strings.Contains(shown, "This account has no password") {
		t.Errorf("got %d %s", got.Status, shown)
	}
	if name := text(elements(b.get("/").parse(t), func(n *html.Node) bool { return n.Data == "summary" })[0]); name != "Account" {
		t.Errorf("the user is called %q", name)
	}
}

func TestAccountThatCannotBeLoadedSaysSo(t *testing.T) {
	t.Parallel()
	f := newSignInFixture(t)
	b := f.newUser(t, email)
	f.users.err = apperr.New(apperr.Unavailable, "the database did not answer")
	if got := b.get("/page/account"); got.Status != http.StatusServiceUnavailable || got.Header.Get("Retry-After") != "1" || h1(got.parse(t)) != "The account cannot be shown" {
		t.Errorf("got %d %s", got.Status, got.Body)
	}
}
