package page

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"

	"example.com/todo/scripts/internal/browser"
)

const password = "a long-tailed tit"

// withSignIn makes the system with sign-in the one of this test. It has no session and no task.
func withSignIn(t *testing.T) {
	t.Helper()
	if signedIn == nil {
		started, err := startSystem(t.Context(), "AUTH_MODE=on", "AUTH_SIGNUP=open")
		if err != nil {
			t.Fatal(err)
		}
		signedIn = started
	}
	other := system
	system = signedIn
	t.Cleanup(func() { system = other })
	flushRedis(t)
	if _, err := database(t).Exec("DELETE FROM tasks"); err != nil {
		t.Fatal(err)
	}
}

// user is a user of the API, with a session of its own.
type user struct {
	email, token string
}

// newUser makes a user.
func newUser(t *testing.T) user {
	t.Helper()
	u := user{email: "ann" + strings.ToLower(rand.Text()) + "@example.com"}
	credentials := map[string]string{"email": u.email, "password": password}
	u.send(t, http.MethodPost, "/users", credentials, nil)
	var started struct {
		Token string `json:"token"`
	}
	u.send(t, http.MethodPost, "/sessions", credentials, &started)
	u.token = started.Token
	return u
}

// send sends a request to todo-service itself until Redis answers its check.
func (u user) send(t *testing.T, method, path string, body, out any) {
	t.Helper()
	content, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		req, err := http.NewRequestWithContext(t.Context(), method, "http://"+system.env["TODO_HTTP_ADDR"]+path, bytes.NewReader(content))
		if err != nil {
			return err
		}
		if body == nil {
			req.Body, req.ContentLength = http.NoBody, 0
		}
		req.Header.Set("Content-Type", "application/json")
		if u.token != "" {
			req.Header.Set("Authorization", "Bearer "+u.token)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode >= http.StatusMultipleChoices {
			return fmt.Errorf("%s %s: %s", method, path, resp.Status)
		}
		if out == nil {
			return nil
		}
		return json.NewDecoder(resp.Body).Decode(out)
	})
}

// add makes a task of the user.
func (u user) add(t *testing.T, title string) {
	t.Helper()
	u.send(t, http.MethodPost, "/tasks", map[string]any{"title": title}, nil)
}

// comeTo opens the page of the system with sign-in, which a person without a session sees.
func comeTo(t *testing.T, plain bool) *person {
	t.Helper()
	p := newPerson(t)
	p.expectStatus(http.StatusServiceUnavailable) // see visibleText
	if plain {
		p.do(p.DisableScript())
	}
	p.plain = plain
	p.open("Sign in to Tasks")
	return p
}

// signIn fills the form in.
func (p *person) signIn(email, password string) {
	p.t.Helper()
	p.fill("E-mail", email)
	p.fill("Password", password)
	p.do(p.Press(kb.Enter))
}

// fill replaces the text of a field.
func (one *tab) fill(label, text string) {
	one.t.Helper()
	field := one.Selector(fmt.Sprintf("#%s", map[string]string{
		"E-mail": "email", "Password": "password", "Current password": "current-password", "New password": "new-password",
	}[label]))
	one.try(field.Focus)
	evaluate[bool](one, "(document.activeElement.select(), true)")
	one.do(one.InsertText(text))
}

// openAccount follows the link of the user's menu.
func (one *tab) openAccount() {
	one.t.Helper()
	one.click(one.Selector("#account summary"))
	one.click(one.Element("link", "Sessions and password"))
	one.awaitDocument("Your sessions")
}

// open opens the page, and waits until the visible text contains a text.
func (one *tab) open(want string) {
	one.t.Helper()
	eventually(one.t, func() error { return one.Navigate(system.todo.url()) })
	one.awaitDocument(want)
}

// awaitDocument waits until the visible text of the document contains a text and, in a list, the script has started. It
// returns the one of several texts that is there.
func (one *tab) awaitDocument(wants ...string) (found string) {
	one.t.Helper()
	eventually(one.t, func() error {
		text, err := one.visibleText()
		if err != nil {
			return err
		}
		for _, want := range wants {
			if strings.Contains(text, want) {
				found = want
				return one.requireScript(want)
			}
		}
		return fmt.Errorf("the document reads %q, want one of %q in it", text, wants)
	})
	return found
}

// awaitSessions waits until the account has a number of sessions.
func (one *tab) awaitSessions(want int) {
	one.t.Helper()
	eventually(one.t, func() error {
		if _, err := one.visibleText(); err != nil {
			return err
		}
		got, err := one.Selector(".sessions li").Count()
		if err == nil && got != want {
			err = fmt.Errorf("the account has %d sessions, want %d", got, want)
		}
		return err
	})
}

// visibleText returns the visible text of the document. On a busy machine Redis may not answer the check of a session
// within 40 ms, and a change of the machine's network ends requests for the script; the document is then loaded again,
// and its form sent again.
func (one *tab) visibleText() (string, error) {
	text, err := browser.Evaluate[string](one.Tab, "document.body.innerText")
	if err == nil && strings.Contains(text, "unavailable at the moment") {
		err = errors.Join(errors.New("sessions are unavailable"), one.Reload())
	}
	return text, err
}

// requireScript returns an error if the document is a list whose script has not started.
func (one *tab) requireScript(text string) error {
	if text != aList || one.person.plain {
		return nil
	}
	state, err := browser.Evaluate[string](one.Tab, "document.querySelector('[data-connection]') ? '' : document.documentElement.dataset.script ?? 'lost'")
	switch {
	case err != nil || state == "":
		return err
	case state == "lost":
		return errors.Join(errors.New("the script was not loaded"), one.Reload())
	}
	return errors.New("the script has not started")
}

// aList is a text of each document with the list of tasks.
const aList = "Sort"

func TestUserSignsInSeesOwnTasksAndSignsOut(t *testing.T) {
	for name, plain := range map[string]bool{"with a script": false, "without script": true} {
		t.Run(name, func(t *testing.T) {
			withSignIn(t)
			u, other := newUser(t), newUser(t)
			u.add(t, "Learn Go")
			other.add(t, "of another user")
			p := comeTo(t, plain)
			p.awaitDocument("Sign in to Tasks")
			p.inspect("sign in, " + name)
			p.expectStatus(http.StatusUnauthorized)
			p.signIn(u.email, "not the password")
			p.awaitDocument("The e-mail or the password is not right.")
			p.inspect("wrong password, " + name)
			if kept := evaluate[string](p.tab, "email.value + ' ' + password.value + ' ' + document.activeElement.id"); kept != u.email+"  password" {
				t.Errorf("the form has %q", kept)
			}
			p.do(p.SetViewport(320, 640))
			p.inspect("wrong password, narrow, " + name)
			p.do(p.SetViewport(1280, 800))
			p.signIn(u.email, password)
			p.awaitDocument(aList)
			p.awaitTitles("Learn Go")
			if !plain {
				p.awaitLive()
				u.add(t, "Learn gRPC")
				p.awaitTitles("Learn Go", "Learn gRPC")
				p.awaitText(p.Element("complementary", "Statistics"), "Completed today")
			}
			p.click(p.Selector("#account summary"))
			p.awaitText(p.Selector("#account"), u.email)
			p.inspect("signed in, " + name)
			if !plain {
				p.do(p.Press(kb.Escape))
				p.awaitNone(p.Selector("#account[open]"))
				if focused := evaluate[string](p.tab, "document.activeElement.localName"); focused != "summary" {
					t.Errorf("after Esc the focus is on %q, want the menu's button", focused)
				}
				p.click(p.Selector("#account summary"))
			}
			p.do(p.SetViewport(320, 640))
			p.inspect("signed in, narrow, " + name)
			if !evaluate[bool](p.tab, `(() => {
				const [h1, search, account] = ['h1', '#search', '#account'].map((e) => document.querySelector(e).getBoundingClientRect());
				return h1.bottom <= search.top && account.top < search.bottom && document.querySelector('#search input').offsetWidth >= 80;
			})()`) {
				t.Error("the narrow header is not of two lines, the second with the search")
			}
			p.click(p.Element("button", "Sign out"))
			p.awaitDocument("Sign in to Tasks")
			p.awaitTitles()
			if n := evaluate[int](p.tab, "localStorage.length + document.cookie.length"); n != 0 {
				t.Error("the page keeps something in local storage, or in a cookie that scripts can read")
			}
		})
	}
}

func TestNewUserSignsUp(t *testing.T) {
	withSignIn(t)
	taken := newUser(t)
	p := comeTo(t, false)
	p.click(p.Element("link", "Sign up"))
	p.awaitDocument("Sign up to Tasks")
	p.inspect("sign up")
	p.expectStatus(http.StatusUnprocessableEntity)
	p.expectStatus(http.StatusConflict)
	p.signIn("bob@example.com", "short")
	p.awaitDocument("The password must have from 12 to 128 characters")
	p.inspect("sign up, password refused")
	p.signIn(taken.email, password)
	p.awaitDocument("The e-mail belongs to an account already.")
	p.signIn("new-"+taken.email, password)
	if p.awaitDocument(aList, "Sign in to Tasks") != aList { // Redis was late for the sign-in that follows
		p.signIn("new-"+taken.email, password)
		p.awaitDocument(aList)
	}
	p.awaitLive()
	p.awaitText(p.Selector("main"), "Nothing to do")
	p.write(keyboard, "Learn Go")
	p.awaitTitles("Learn Go")
}

func TestSignOutInOneTabSignsTheOtherTabOut(t *testing.T) {
	withSignIn(t)
	u := newUser(t)
	u.add(t, "Learn Go")
	p := comeTo(t, false)
	p.signIn(u.email, password)
	p.awaitDocument(aList)
	p.awaitLive()
	other := p.openTab(t)
	other.open(aList)
	other.awaitLive()
	other.awaitQuiet()
	other.do(other.Element("textbox", "New task").Focus())
	other.do(other.InsertText("typed"))
	p.click(p.Selector("#account summary"))
	p.click(p.Element("button", "Sign out"))
	p.awaitDocument("Sign in to Tasks")
	other.awaitDocument("You are signed out")
	other.awaitTitles()
	other.inspect("signed out")
	other.do(other.SetViewport(320, 640))
	other.inspect("signed out, narrow")
	other.do(other.SetViewport(1280, 800))
	other.click(other.Element("link", "Sign in"))
	other.awaitDocument("Sign in to Tasks")
	p.signIn(u.email, password)
	p.awaitDocument(aList)
	p.awaitLive()
	other.open(aList)
	other.awaitLive()
	other.awaitTitles("Learn Go")
	// What this user typed is back.
	if typed := evaluate[string](other, "document.querySelector('#new-title').value"); typed != "typed" {
		t.Errorf("the field has %q", typed)
	}
	// Another user signs in: no tab may go on with the list of the one before.
	third := p.openTab(t)
	next := newUser(t)
	third.do(third.Navigate(system.todo.url() + "/page/sign-up"))
	evaluate[bool](third, "(document.querySelector('form').action = '/page/sign-in', true)")
	(&person{tab: third}).signIn(next.email, password)
	third.awaitDocument(aList)
	for _, before := range []*tab{p.tab, other} {
		before.awaitDocument("You are signed out")
	}
	if typed := evaluate[string](third, "document.querySelector('#new-title').value"); typed != "" {
		t.Errorf("another user gets %q", typed)
	}
}

// The requests of a tab have the cookie of the user who signed in last.
func TestTaskThatWaitsIsNotAddedForTheNextUser(t *testing.T) {
	withSignIn(t)
	u, next := newUser(t), newUser(t)
	p := comeTo(t, false)
	p.signIn(u.email, password)
	p.awaitDocument(aList)
	p.awaitLive()
	release := system.todo.inject(t, -1, "^POST /tasks$", problem(http.StatusServiceUnavailable, "overloaded", "Retry-After", "1"))
	p.write(keyboard, "of the user before")
	p.awaitText(p.Selector("#tasks"), "busy")
	other := p.openTab(t)
	other.do(other.Navigate(system.todo.url() + "/page/sign-up"))
	evaluate[bool](other, "(document.querySelector('form').action = '/page/sign-in', true)")
	(&person{tab: other}).signIn(next.email, password)
	other.awaitDocument(aList)
	p.awaitDocument("You are signed out")
	release()
	eventually(t, func() error {
		kept, err := browser.Evaluate[string](p.Tab, "Object.values(sessionStorage).join()")
		if err == nil && kept != "of the user before" {
			err = fmt.Errorf("the tab keeps %q", kept)
		}
		return err
	})
	var tasks []task
	next.send(t, http.MethodGet, "/tasks", nil, &tasks)
	if len(tasks) != 0 {
		t.Errorf("the next user has %v", tasks)
	}
}

func TestSessionThatIsRevokedElsewhereEndsOnThePage(t *testing.T) {
	withSignIn(t)
	u := newUser(t)
	u.add(t, "Learn Go")
	p := comeTo(t, false)
	p.signIn(u.email, password)
	p.awaitDocument(aList)
	p.awaitLive()
	p.awaitTitles("Learn Go")
	p.expectStatus(http.StatusUnauthorized)
	revoked := time.Now()
	u.send(t, http.MethodDelete, "/sessions", nil, nil)
	p.awaitDocument("You are signed out")
	t.Logf("the page was signed out within %v", time.Since(revoked).Round(10*time.Millisecond))
	p.awaitTitles()
	p.click(p.Element("link", "Sign in"))
	p.awaitDocument("The session has ended. Sign in again.")
	p.inspect("session ended")
	p.signIn(u.email, password)
	p.awaitDocument(aList)
	p.awaitTitles("Learn Go")
}

// A request may meet the end of the session before the stream does.
func TestRefusedRequestSignsThePageOutAndKeepsWhatWasTyped(t *testing.T) {
	withSignIn(t)
	u := newUser(t)
	p := comeTo(t, false)
	p.signIn(u.email, password)
	p.awaitDocument(aList)
	p.awaitLive()
	p.expectStatus(http.StatusUnauthorized)
	system.todo.inject(t, 1, "^POST /tasks$", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) })
	p.write(keyboard, "Learn Go")
	p.awaitDocument("You are signed out")
	p.open(aList)
	if typed := evaluate[string](p.tab, "document.querySelector('#new-title').value"); typed != "Learn Go" {
		t.Errorf("the field has %q", typed)
	}
}

func TestSessionsAreListedAndEndedAndThePasswordIsChanged(t *testing.T) {
	for name, plain := range map[string]bool{"with a script": false, "without script": true} {
		t.Run(name, func(t *testing.T) {
			withSignIn(t)
			u := newUser(t)
			p, elsewhere := comeTo(t, plain), comeTo(t, plain)
			for _, one := range []*person{p, elsewhere} {
				one.signIn(u.email, password)
				one.awaitDocument(aList)
				one.await(one.Selector("#account"))
			}
			p.openAccount()
			before := evaluate[int](p.tab, "document.querySelectorAll('.sessions li').length")
			p.awaitText(p.Selector(".sessions"), "This one")
			p.inspect("account, " + name)
			p.do(p.SetViewport(320, 640))
			p.inspect("account, narrow, " + name)
			p.do(p.SetViewport(1280, 800))
			p.click(p.Selector("li:first-child button")) // the newest one
			p.awaitSessions(before - 1)
			elsewhere.expectStatus(http.StatusUnauthorized)
			elsewhere.open("The session has ended. Sign in again.")

			p.expectStatus(http.StatusUnprocessableEntity)
			p.fill("Current password", "not the password")
			p.fill("New password", "three blind mice run")
			p.do(p.Press(kb.Enter))
			p.awaitDocument("This is not the current password.")
			p.inspect("account, password refused, " + name)
			p.fill("Current password", password)
			p.fill("New password", "three blind mice run")
			p.do(p.Press(kb.Enter))
			p.awaitDocument("The password is changed. All other sessions have ended.")
			p.awaitSessions(1)
			p.click(p.Element("button", "Sign out everywhere"))
			p.awaitDocument("Sign in to Tasks")
		})
	}
}

func TestFormOfAnEndedSessionKeepsWhatWasTypedWithoutScript(t *testing.T) {
	withSignIn(t)
	u := newUser(t)
	p := comeTo(t, true)
	p.signIn(u.email, password)
	p.awaitDocument(aList)
	p.await(p.Selector("#account"))
	u.send(t, http.MethodDelete, "/sessions", nil, nil)
	p.expectStatus(http.StatusUnauthorized)
	p.do(p.Element("textbox", "New task").Focus())
	p.do(p.Press("Learn Go" + kb.Enter))
	p.awaitDocument("The session has ended, so nothing was changed.")
	p.awaitDocument("Learn Go")
	p.inspect("signed out meanwhile, without script")
}
