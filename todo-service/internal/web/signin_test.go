package web_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"example.com/todo/platform/apperr"
	"example.com/todo/todo-service/internal/account"
	"example.com/todo/todo-service/internal/task"
	"example.com/todo/todo-service/internal/web"
)

// h1 returns the heading of a document.
func h1(root *html.Node) string {
	return text(elements(root, func(n *html.Node) bool { return n.Data == "h1" })[0])
}

func TestDocumentWithoutASessionHasTheFormForSigningInAndNoTasks(t *testing.T) {
	t.Parallel()
	f := newSignInFixture(t)
	for _, owner := range []task.Owner{task.NoOwner, owner} {
		if _, err := f.tasks.Create(t.Context(), owner, task.Draft{Title: "secret"}); err != nil {
			t.Fatal(err)
		}
	}
	ended := "session=" + strings.Repeat("A", 43)
	for name, header := range map[string][]string{
		"nothing":             nil,
		"an ended session":    {"Cookie", ended},
		"a malformed cookie":  {"Cookie", "session=x"},
		"two cookies":         {"Cookie", ended + "; " + ended},
		"an unknown header":   {"Authorization", "Bearer " + strings.Repeat("A", 43)},
		"a JWT":               {"Authorization", "Bearer eyJhbGciOiJub25lIn0.e30."},
		"the cookie of https": {"Cookie", "__Host-" + ended},
	} {
		for _, target := range []string{"/", "/?q=secret", "/?task=1", "/page/account"} {
			got := f.request(http.MethodGet, target, header...)
			root := got.parse(t)
			if got.Status != http.StatusOK || h1(root) != "Sign in to Tasks" || strings.Contains(got.Body, ">secret") {
				t.Errorf("%s, %s: %d %s", name, target, got.Status, got.Body)
			}
			if vary := strings.Join(got.Header.Values("Vary"), ", "); vary != "Authorization, Cookie, Accept-Encoding" || got.Header.Get("Cache-Control") != "private, no-store" {
				t.Errorf("%s, %s: Vary is %q", name, target, vary)
			}
			if says := strings.Contains(got.Body, "The session has ended"); says != strings.HasPrefix(strings.Join(header, " "), "Cookie session=") {
				t.Errorf("%s: the document says that a session has ended: %t", name, says)
			}
		}
	}
	if f.limited != 0 || len(f.counted) != 0 {
		t.Errorf("the limiter counted %d documents", f.limited+len(f.counted))
	}
}

func TestSignInSetsTheCookieAndShowsTheUsersTasks(t *testing.T) {
	t.Parallel()
	for secure, want := range map[bool]string{
		false: "session=TOKEN; Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax",
		true:  "__Host-session=TOKEN; Path=/; Max-Age=2592000; HttpOnly; Secure; SameSite=Lax",
	} {
		f := newSignInFixture(t, func(s *web.SignIn) { s.Credentials.Secure = secure })
		if _, err := f.Accounts.Create(t.Context(), email, password, account.RoleUser); err != nil {
			t.Fatal(err)
		}
		b := &browser{signInFixture: f, t: t}
		root := b.get("/?done=false").parse(t)
		got := b.pressIn(root, "Sign in", url.Values{"email": {" Ann@Example.com"}, "password": {password}})
		if to := wantRedirect(t, got); to != "/?done=false" {
			t.Errorf("it leads to %s", to)
		}
		if cookie := strings.Replace(got.Header.Get("Set-Cookie"), f.sessions.Tokens()["S1"], "TOKEN", 1); cookie != want || got.Header.Get("Cache-Control") != "private, no-cache" {
			t.Errorf("the cookie is %s", cookie)
		}
		if _, err := f.tasks.Create(t.Context(), 1, task.Draft{Title: "Learn Go"}); err != nil {
			t.Fatal(err)
		}
		root = b.get("/").parse(t)
		if !slices.Equal(titles(root), []string{"Learn Go"}) || !strings.HasPrefix(text(element(t, root, "account")), "ann ann@example.com") {
			t.Errorf("the list is %q of %q", titles(root), text(element(t, root, "account")))
		}
		if strings.Contains(b.get("/").Body+b.get("/page/account").Body, f.sessions.Tokens()["S1"]) {
			t.Error("a document has the token")
		}
		if len(f.attempts.signIns) != 1 || f.attempts.signIns[0].String() != "192.0.2.1" || f.limited != 1 {
			t.Errorf("counted %v, %d", f.attempts.signIns, f.limited)
		}
	}
}

func TestSignInEndsTheSessionThatTheBrowserCameWith(t *testing.T) {
	t.Parallel()
	f := newSignInFixture(t)
	b, other := f.newUser(t, email), f.newUser(t, "bob@example.com")
	wantRedirect(t, b.signIn(email, password))
	if got := f.sessions.ids(); got != "S2 S3" {
		t.Errorf("the sessions are %s", got)
	}
	wantRedirect(t, b.signIn("bob@example.com", password))
	if got := f.sessions.ids(); got != "S2 S4" {
		t.Errorf("after the sign-in of another user the sessions are %s", got)
	}
	// A session that cannot be ended must not stay behind the new one.
	before := b.cookie
	f.sessions.stuck = true
	if got := b.signIn(email, password); got.Status != http.StatusServiceUnavailable || got.Header.Get("Set-Cookie") != "" || b.cookie != before {
		t.Errorf("got %d %v", got.Status, got.Header)
	}
	if got := other.get("/"); !strings.Contains(got.Body, "bob@example.com") {
		t.Errorf("the other browser: %d", got.Status)
	}
}

func TestFailedSignInKeepsTheEmailAndSaysTheSameForEveryReason(t *testing.T) {
	t.Parallel()
	f := newSignInFixture(t)
	f.newUser(t, email)
	disabled := f.newUser(t, "bob@example.com")
	if _, err := f.Accounts.Disable(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	disabled.cookie = ""
	const typed = "not the password"
	var sentences []string
	for _, credentials := range [][2]string{
		{email, typed}, {"bob@example.com", password}, {"nobody@example.com", typed}, {"no e-mail", typed}, {email, ""}, {"", ""}, {"\xff\x00<b>", "\xff\x00"},
	} {
		got := disabled.signIn(credentials[0], credentials[1])
		root := got.parse(t)
		if got.Status != http.StatusUnauthorized || got.Header.Get("WWW-Authenticate") != "Bearer" || got.Header.Get("Set-Cookie") != "" {
			t.Errorf("%q: %d %v", credentials, got.Status, got.Header)
		}
		if kept := value(element(t, root, "email")); kept != strings.ReplaceAll(strings.ToValidUTF8(credentials[0], "\ufffd"), "\x00", "\ufffd") {
			t.Errorf("%q: the e-mail is %q", credentials, kept)
		}
		if has(element(t, root, "password"), "value") || credentials[1] != "" && strings.Contains(got.Body, credentials[1]) {
			t.Errorf("%q: the document has the password", credentials)
		}
		sentences = append(sentences, text(elements(root, func(n *html.Node) bool { return attribute(n, "class") == "failure" })[0]))
	}
	if sentences = slices.Compact(sentences); len(sentences) != 1 || sentences[0] != "Not signed in The e-mail or the password is not right." {
		t.Errorf("the document says %q", sentences)
	}
	if strings.Contains(f.log.String(), typed) {
		t.Errorf("the log has the password: %s", f.log)
	}
}

func TestSignInThatIsRefusedForAWhileSaysHowLong(t *testing.T) {
	t.Parallel()
	limited := apperr.New(apperr.RateLimited, "too many attempts")
	limited.RetryAfter = 90 * time.Second
	for _, test := range []struct {
		name    string
		prepare func(*signInFixture)
		status  int
		wait    string
		words   string
	}{
		{"too many attempts", func(f *signInFixture) { f.attempts.err = limited }, 429, "90", "Too many attempts. Wait 90 seconds, then try again."},
		{"too many sign-ups", func(f *signInFixture) {
			f.attempts.err = &apperr.Error{Kind: apperr.RateLimited, Message: "too many attempts", RetryAfter: time.Hour}
		}, 429, "3600", "Wait 60 minutes, then try again."},
		{"attempts are not counted", func(f *signInFixture) { f.attempts.err = errAway }, 503, "1", "Try again in 1 second."},
		{"Redis is away", func(f *signInFixture) { f.sessions.away = true }, 503, "1", "Sessions are unavailable at the moment. Try again in 1 second."},
		{"too many requests", func(f *signInFixture) { f.refusal = 7 * time.Second }, 429, "7", "Wait 7 seconds, then try again."},
	} {
		f := newSignInFixture(t)
		b := f.newUser(t, email)
		b.cookie = ""
		test.prepare(f)
		for _, form := range []string{"sign-in", "sign-up"} {
			if form == "sign-up" && test.name == "Redis is away" {
				continue // the user is made, see TestSignUpMakesAUser
			}
			got := b.submit("/page/"+form, url.Values{"email": {"eve@example.com"}, "password": {password}})
			if form == "sign-in" {
				got = b.signIn(email, password)
			}
			if got.Status != test.status || got.Header.Get("Retry-After") != test.wait || !strings.Contains(text(got.parse(t)), test.words) {
				t.Errorf("%s, %s: %d, Retry-After %q: %s", test.name, form, got.Status, got.Header.Get("Retry-After"), text(got.parse(t)))
			}
		}
	}
}

func TestSignUpMakesAUserWhoIsSignedIn(t *testing.T) {
	t.Parallel()
	f := newSignInFixture(t)
	b := &browser{signInFixture: f, t: t}
	root := b.get("/").parse(t)
	root = b.get(attribute(link(t, root, "Sign up"), "href")).parse(t)
	if to := wantRedirect(t, b.pressIn(root, "Sign up", url.Values{"email": {email}, "password": {password}})); to != "/" {
		t.Errorf("it leads to %s", to)
	}
	if got := b.get("/"); !strings.Contains(got.Body, email) {
		t.Errorf("the new user gets %d %s", got.Status, got.Body)
	}
	// Without sessions the user is there, and signs in later.
	f.sessions.away, b.cookie = true, ""
	if to := wantRedirect(t, b.submit("/page/sign-up", url.Values{"email": {"bob@example.com"}, "password": {password}})); to != "/" || b.cookie != "" {
		t.Errorf("without Redis it leads to %s", to)
	}
	f.sessions.away = false
	wantRedirect(t, b.signIn("bob@example.com", password))
}

func TestSignUpNamesTheFieldThatIsWrong(t *testing.T) {
	t.Parallel()
	f := newSignInFixture(t)
	f.newUser(t, email)
	b := &browser{signInFixture: f, t: t}
	for _, test := range []struct {
		email, password string
		status          int
		field, words    string
	}{
		{"bob@example.com", "short", 422, "password", "The password must have from 12 to 128 characters."},
		{"bob@example.com", "password1234", 422, "password", "The password"},
		{"bob", password, 422, "email", "The e-mail must be an e-mail address, such as ann@example.com."},
		{" ANN@example.com", password, 409, "email", "The e-mail belongs to an account already."},
	} {
		got := b.submit("/page/sign-up", url.Values{"email": {test.email}, "password": {test.password}})
		root := got.parse(t)
		problem := text(element(t, root, test.field+"-problem"))
		if got.Status != test.status || !strings.HasPrefix(problem, test.words) || attribute(element(t, root, test.field), "aria-invalid") != "true" {
			t.Errorf("%+v: %d %q", test, got.Status, problem)
		}
		if value(element(t, root, "email")) != test.email || has(element(t, root, "password"), "value") || b.cookie != "" {
			t.Errorf("%+v: the fields are %q, %v", test, value(element(t, root, "email")), element(t, root, "password").Attr)
		}
	}
}

func TestClosedSignUpIsNotThere(t *testing.T) {
	t.Parallel()
	f := newSignInFixture(t, func(s *web.SignIn) { s.SignUpOpen = false })
	b := &browser{signInFixture: f, t: t}
	if got := b.get("/"); strings.Contains(got.Body, "sign-up") {
		t.Error("the document leads to it")
	}
	if to := wantRedirect(t, b.get("/page/sign-up")); to != "/" {
		t.Errorf("it leads to %s", to)
	}
	if got := b.submit("/page/sign-up", url.Values{"email": {email}, "password": {password}}); got.Status != http.StatusNotFound {
		t.Errorf("got %d", got.Status)
	}
}

func TestSignOutEndsTheSessionAndDeletesTheCookie(t *testing.T) {
	t.Parallel()
	f := newSignInFixture(t)
	b := f.newUser(t, email)
	root := b.get("/").parse(t)
	got := b.pressIn(root, "Sign out", nil)
	if to := wantRedirect(t, got); to != "/" || got.Header.Get("Set-Cookie") != "session=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax" || f.sessions.ids() != "" {
		t.Errorf("it leads to %s with %v; sessions %q", to, got.Header, f.sessions.ids())
	}
	wantRedirect(t, b.submit("/page/sign-out", nil)) // sent twice
	wantRedirect(t, b.signIn(email, password))
	before := b.cookie
	f.sessions.away = true
	if got := b.submit("/page/sign-out", nil); got.Status != http.StatusServiceUnavailable || got.Header.Get("Retry-After") == "" || b.cookie != before {
		t.Errorf("without Redis: %d %v", got.Status, got.Header)
	}
}

func TestFormWithoutASessionChangesNothingAndKeepsWhatWasTyped(t *testing.T) {
	t.Parallel()
	f := newSignInFixture(t)
	b := f.newUser(t, email)
	created, err := f.tasks.Create(t.Context(), 1, task.Draft{Title: "A"})
	if err != nil {
		t.Fatal(err)
	}
	root := b.get("/?done=false").parse(t)
	b.cookie = "session=" + strings.Repeat("A", 43)
	got := b.pressIn(root, "Add", url.Values{"title": {"Learn <b>Go"}})
	if shown := text(got.parse(t)); got.Status != http.StatusUnauthorized || !strings.Contains(shown, "The session has ended, so nothing was changed.") || !strings.Contains(shown, "Learn <b>Go") {
		t.Errorf("got %d %s", got.Status, got.Body)
	}
	got = b.pressIn(got.parse(t), "Sign in", url.Values{"email": {email}, "password": {"not the password"}})
	if shown := text(got.parse(t)); got.Status != http.StatusUnauthorized || !strings.Contains(shown, "Learn <b>Go") {
		t.Errorf("after a wrong password: %d %s", got.Status, shown)
	}
	if to := wantRedirect(t, b.pressIn(got.parse(t), "Sign in", url.Values{"email": {email}, "password": {password}})); to != "/?done=false" {
		t.Errorf("the sign-in leads to %s", to)
	}
	b.cookie = ""
	for _, target := range []string{"/page/tasks/1", "/page/tasks/1/complete", "/page/tasks/1/reopen", "/page/tasks/1/delete", "/page/tasks/x", "/page/account/password", "/page/account/sessions/S1/end", "/page/account/sessions/end"} {
		if got := b.submit(target, url.Values{"title": {"B"}, "priority": {"1"}}); got.Status != http.StatusUnauthorized || h1(got.parse(t)) != "Sign in to Tasks" {
			t.Errorf("%s: %d", target, got.Status)
		}
	}
	f.sessions.noUser, b.cookie = true, "session="+strings.Repeat("A", 43)
	if got := b.submit("/page/tasks", url.Values{"title": {"B"}, "priority": {"1"}}); got.Status != http.StatusUnauthorized {
		t.Errorf("a session without a user: %d", got.Status)
	}
	if got := b.get("/"); h1(got.parse(t)) != "Sign in to Tasks" {
		t.Errorf("a session without a user gets a document: %d", got.Status)
	}
	all, _, err := f.tasks.List(t.Context(), 1, task.Query{})
	if err != nil || len(all) != 1 || all[0] != created {
		t.Errorf("the tasks are %v: %v", all, err)
	}
	if none, _, err := f.tasks.List(t.Context(), task.NoOwner, task.Query{}); err != nil || len(none) != 0 {
		t.Errorf("there are tasks without an owner: %v, %v", none, err)
	}
}

func TestWithoutRedisThePageShowsNoTasksAndSaysWhatToDo(t *testing.T) {
	t.Parallel()
	f := newSignInFixture(t)
	b := f.newUser(t, email)
	if _, err := f.tasks.Create(t.Context(), 1, task.Draft{Title: "secret"}); err != nil {
		t.Fatal(err)
	}
	f.sessions.away = true
	for name, got := range map[string]response{
		"the list": b.get("/"), "the account": b.get("/page/account"),
		"a form": b.submit("/page/tasks", url.Values{"title": {"Learn Go"}, "priority": {"1"}}), "the password": b.submit("/page/account/password", nil),
	} {
		shown := text(got.parse(t))
		if got.Status != http.StatusServiceUnavailable || got.Header.Get("Retry-After") != "1" || !strings.Contains(shown, "Sessions are unavailable at the moment. Try again in 1 second.") {
			t.Errorf("%s: %d %s", name, got.Status, shown)
		}
		if strings.Contains(got.Body, "secret") || strings.Contains(got.Body, `type="password"`) || name == "a form" && !strings.Contains(shown, "Learn Go") {
			t.Errorf("%s: %s", name, got.Body)
		}
	}
	b.cookie = ""
	if got := b.get("/"); got.Status != http.StatusOK {
		t.Errorf("without a cookie: %d", got.Status)
	}
}

func TestListIsThereWithoutTheUsersEmail(t *testing.T) {
	t.Parallel()
	f := newSignInFixture(t)
	b := f.newUser(t, email)
	f.users.err = apperr.New(apperr.Unavailable, "the database did not answer")
	got := b.get("/")
	if name := text(elements(got.parse(t), func(n *html.Node) bool { return n.Data == "summary" })[0]); got.Status != http.StatusOK || name != "Account" {
		t.Errorf("got %d with %q", got.Status, name)
	}
}

func TestFormsAreCountedForTheUserOrTheAddress(t *testing.T) {
	t.Parallel()
	f := newSignInFixture(t)
	b := f.newUser(t, email)
	f.limited = 0
	b.submit("/page/tasks", url.Values{"title": {"A"}, "priority": {"1"}})
	b.submit("/page/account/sessions/S9/end", nil)
	b.get("/")
	b.cookie = ""
	b.submit("/page/tasks", url.Values{"title": {"A"}, "priority": {"1"}})
	if want := []string{"user:1", "user:1", "192.0.2.1"}; !slices.Equal(f.counted, want) || f.limited != 0 {
		t.Errorf("counted %q and %d", f.counted, f.limited)
	}
	b.signIn(email, password)
	f.refusal = 5 * time.Second
	got := b.submit("/page/tasks", url.Values{"title": {"typed"}, "priority": {"1"}})
	if root := got.parse(t); got.Status != http.StatusTooManyRequests || value(element(t, root, "new-title")) != "typed" {
		t.Errorf("over the limit: %d", got.Status)
	}
	b.cookie = ""
	got = b.submit("/page/tasks", url.Values{"title": {"typed"}, "priority": {"1"}})
	if got.Status != http.StatusTooManyRequests || got.Header.Get("Retry-After") != "5" || len(titles(got.parse(t))) != 0 || !strings.Contains(got.Body, "typed") {
		t.Errorf("over the limit of the address: %d %s", got.Status, got.Body)
	}
}

func TestEveryFormOfSignInIsRefusedFromAnotherOrigin(t *testing.T) {
	t.Parallel()
	f := newSignInFixture(t)
	b := f.newUser(t, email)
	for _, pattern := range web.Routes() {
		method, target, _ := strings.Cut(pattern, " ")
		if method != http.MethodPost {
			continue
		}
		target = strings.Replace(target, "{id}", "S1", 1)
		for _, header := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Sec-Fetch-Site", "", "Origin", "https://evil.example"}, {"Sec-Fetch-Site", "", "Origin", "null"}} {
			got := b.submit(target, url.Values{"email": {email}, "password": {password}, "title": {"A"}, "priority": {"1"}}, header...)
			if got.Status != http.StatusForbidden || got.Header.Get("Set-Cookie") != "" {
				t.Errorf("%s with %q: %d", target, header, got.Status)
			}
		}
	}
	if f.sessions.ids() != "S1" || len(f.attempts.signIns) != 1 {
		t.Errorf("sessions %s, %d attempts", f.sessions.ids(), len(f.attempts.signIns))
	}
}

func TestNoFormLeadsToAnotherSite(t *testing.T) {
	t.Parallel()
	f := newSignInFixture(t)
	b := f.newUser(t, email)
	for _, list := range []string{"https://evil.example", "//evil.example", "/\\evil.example", "q=x&next=//evil.example", "done=false#//evil.example", "\r\nLocation: //evil.example", "task=//evil.example"} {
		for _, target := range []string{"/page/sign-in", "/page/sign-out"} {
			to := wantRedirect(t, b.submit(target, url.Values{"email": {email}, "password": {password}, "list": {list}}))
			if u, err := url.Parse(to); err != nil || u.Host != "" || u.Scheme != "" || u.Path != "/" || strings.HasPrefix(to, "//") {
				t.Errorf("%s with %q leads to %q", target, list, to)
			}
		}
	}
}

func TestTokenInAnAddressOfThePageIsRefused(t *testing.T) {
	t.Parallel()
	f := newSignInFixture(t)
	b := f.newUser(t, email)
	for _, target := range []string{"/?token=x", "/favicon.ico?session=x", "/assets/x/main.js?access_token=x", "/page/account?jwt=x"} {
		if got := b.get(target); got.Status != http.StatusBadRequest {
			t.Errorf("%s: %d", target, got.Status)
		}
	}
}

func TestSignInRoutesAreNotThereWithoutSignIn(t *testing.T) {
	t.Parallel()
	f := newFixture()
	for _, target := range []string{"/page/sign-up", "/page/account"} {
		if to := wantRedirect(t, f.request(http.MethodGet, target)); to != "/" {
			t.Errorf("%s leads to %s", target, to)
		}
	}
	for _, target := range []string{"/page/sign-in", "/page/sign-up", "/page/sign-out", "/page/account/password"} {
		if got := f.post(target, nil); got.Status != http.StatusMethodNotAllowed {
			t.Errorf("%s: %d", target, got.Status)
		}
	}
	if got := f.request(http.MethodGet, "/", "Cookie", "session="+strings.Repeat("A", 43)); got.Status != http.StatusOK || got.Header.Get("Vary") != "Accept-Encoding" {
		t.Errorf("a cookie that means nothing: %d %v", got.Status, got.Header)
	}
}
