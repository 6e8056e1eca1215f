package app

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	goredis "github.com/redis/go-redis/v9"

	"example.com/todo/contracts/openapi"
	"example.com/todo/platform/openapitest"
	"example.com/todo/platform/session"
	"example.com/todo/platform/session/sessiontest"
	"example.com/todo/platform/testenv"
	"example.com/todo/todo-service/internal/account"
	"example.com/todo/todo-service/internal/pgstore"
	"example.com/todo/todo-service/internal/task"
	"example.com/todo/todo-service/internal/web"
)

// matrix is a replica with sign-in and an issuer, and a user for each credential. A cell is
// a request of one kind of client to one route. Each has a task and a session of its own.
type matrix struct {
	signInFixture
	issuer   *issuer
	db       *sqlx.DB
	redis    *goredis.Client
	sessions *session.Store
	accounts *account.Service
	users    map[sessiontest.Credential]session.User
	requests int
	asset    string // the path of an asset of the page

	cells, unexpected int
}

func newMatrix(t *testing.T) *matrix {
	t.Helper()
	dsn, issuer := migratedDatabase(t), newIssuer(t)
	m := &matrix{issuer: issuer, db: openDatabase(t, dsn), users: map[sessiontest.Credential]session.User{}}
	m.signInFixture = serveWithSignIn(t, dsn, newPrefix(), issuer.configure, trustThisMachine)
	m.redis = goredis.NewClient(&goredis.Options{Addr: testenv.RequireEnv(t, "TEST_REDIS_ADDR")})
	t.Cleanup(func() { m.redis.Close() })
	m.sessions = session.NewStore(m.redis, m.cfg.sessions())
	var err error
	if m.accounts, err = newAccounts(m.cfg, pgstore.New(m.db), m.redis, m.sessions); err != nil {
		t.Fatal(err)
	}
	for credential, email := range map[sessiontest.Credential]string{
		sessiontest.OfOwner: "owner@example.com", sessiontest.OfOther: "other@example.com",
		sessiontest.OfAdmin: "admin@example.com", sessiontest.OfDisabled: "disabled@example.com",
	} {
		role := account.RoleUser
		if credential == sessiontest.OfAdmin {
			role = account.RoleAdmin
		}
		created, err := m.accounts.Create(t.Context(), email, userPassword, role)
		if err != nil {
			t.Fatal(err)
		}
		m.users[credential] = session.User{ID: created.ID, Role: string(created.Role)}
	}
	return m
}

// trustThisMachine lets a test choose the address of a client.
func trustThisMachine(cfg *Config) {
	cfg.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
}

// nextAddress returns an address that no request had before: attempts to sign in and
// sign-ups of an address are limited.
func (m *matrix) nextAddress() string {
	m.requests++
	return fmt.Sprintf("10.1.%d.%d", m.requests/250, m.requests%250)
}

// credential returns a token that no request has used.
func (m *matrix) credential(of sessiontest.Credential) string {
	m.Helper()
	switch of {
	case sessiontest.Nothing:
		return ""
	case sessiontest.JWT:
		return m.issuer.token(m.TB)
	}
	user, found := m.users[of]
	if !found {
		user = m.users[sessiontest.OfOwner]
	}
	token, started, err := m.sessions.Create(m.Context(), user)
	switch {
	case err != nil:
	case of == sessiontest.Expired:
		key := fmt.Sprintf("%ssession:%x", m.cfg.Redis.KeyPrefix, sha256.Sum256([]byte(token)))
		err = m.redis.HSet(m.Context(), key, "created_at", 1).Err()
	case of == sessiontest.Revoked:
		err = m.sessions.Revoke(m.Context(), user.ID, started.ID)
	case of == sessiontest.OfDisabled:
		_, err = m.accounts.Disable(m.Context(), user.ID)
	}
	if err != nil {
		m.Fatal(err)
	}
	return token
}

// newTask returns the id of a new task of the owner.
func (m *matrix) newTask() int64 {
	m.Helper()
	tasks := task.NewService(pgstore.New(m.db), time.Now, func(context.Context, task.Owner, string) {})
	created, err := tasks.Create(m.Context(), task.Owner(m.users[sessiontest.OfOwner].ID), task.Draft{Title: mark})
	if err != nil {
		m.Fatal(err)
	}
	return created.ID
}

// check makes a cell. send sends its request, and returns what is wrong with the response.
func (m *matrix) check(name string, send func() error) {
	m.Helper()
	m.cells++
	var err error
	for range 20 { // a busy machine may answer 503
		if err = send(); !errors.Is(err, errBusy) {
			break
		}
	}
	if err != nil {
		m.unexpected++
		m.Errorf("%s: %v", name, err)
	}
}

var errBusy = errors.New("the service is unavailable")

// wantUntouched returns an error if the task is not as it was made.
func (m *matrix) wantUntouched(id int64) error {
	version := 0
	err := m.db.GetContext(m.Context(), &version, `SELECT version FROM tasks WHERE id = $1`, id)
	if err == nil && version != 1 {
		err = fmt.Errorf("the refused request changed the task: version %d", version)
	}
	return err
}

// route says which clients a route serves, and the body of its requests: JSON or, on the
// page, a form.
type route struct {
	access sessiontest.Access
	body   string
}

// userPassword is in no document.
const userPassword = "seven humming kettles"

const credentials = `{"email":"owner@example.com","password":"` + userPassword + `"}`

// apiRoutes has every operation of the OpenAPI document.
var apiRoutes = map[string]route{
	"GET /tasks":             {sessiontest.Personal, ""},
	"POST /tasks":            {sessiontest.Personal, `{"title":"A"}`},
	"GET /tasks/counts":      {sessiontest.Personal, ""},
	"GET /tasks/{id}":        {sessiontest.Owned, ""},
	"PATCH /tasks/{id}":      {sessiontest.Owned, `{"title":"A"}`},
	"DELETE /tasks/{id}":     {sessiontest.Owned, ""},
	"PATCH /tasks/{id}/done": {sessiontest.Owned, ""},
	"GET /tasks/{id}/events": {sessiontest.Owned, ""},
	"GET /events":            {sessiontest.Personal, ""},
	"POST /sessions":         {sessiontest.Open, credentials},
	"GET /sessions":          {sessiontest.Personal, ""},
	"DELETE /sessions":       {sessiontest.Personal, ""},
	"DELETE /sessions/{id}":  {sessiontest.Owned, ""},
	"POST /users":            {sessiontest.Open, `{"email":"<new>@example.com","password":"` + userPassword + `"}`},
	"GET /users/me":          {sessiontest.Personal, ""},
	"PATCH /users/me":        {sessiontest.Personal, `{"current_password":"` + userPassword + `","password":"` + userPassword + `"}`},
	"GET /openapi.yaml":      {sessiontest.Open, ""},
	"GET /docs":              {sessiontest.Open, ""},
	"GET /docs/{asset}":      {sessiontest.Open, ""},
}

func TestEveryRouteGivesEveryClientWhatItMayHave(t *testing.T) {
	t.Parallel()
	m := newMatrix(t)
	document, err := openapitest.Parse(openapi.Todo)
	if err != nil {
		t.Fatal(err)
	}
	operations := document.Operations()
	m.checkRoutes(operations, apiRoutes)
}

// checkRoutes makes the cells of the routes. Each must be in table.
func (m *matrix) checkRoutes(names []string, table map[string]route) {
	m.Helper()
	for name := range table {
		if !slices.Contains(names, name) {
			m.Errorf("the service has no route %s", name)
		}
	}
	for _, name := range names {
		route, found := table[name]
		if !found {
			m.Errorf("%s: say in the table which clients it serves", name)
			continue
		}
		methods := []string{name}
		if path, isGet := strings.CutPrefix(name, "GET "); isGet {
			methods = append(methods, "HEAD "+path)
		}
		for _, name := range methods {
			for _, client := range sessiontest.Clients() {
				m.check(name+" by "+client.Name, func() error { return m.sendHTTP(name, route, client) })
			}
		}
	}
	m.Logf("%d cells, %d unexpected", m.cells, m.unexpected)
}

// pageRoutes has every route of the page. Its documents are open: without a session they
// are the form for signing in.
var pageRoutes = map[string]route{
	"GET /{$}":                             {sessiontest.Open, ""},
	"GET /assets/{hash}/{name}":            {sessiontest.Open, ""},
	"GET /favicon.ico":                     {sessiontest.Open, ""},
	"GET /page/":                           {sessiontest.Open, ""},
	"POST /page/tasks":                     {sessiontest.Personal, "title=A&priority=1"},
	"POST /page/tasks/{id}":                {sessiontest.Owned, "title=A&priority=1&version=1"},
	"POST /page/tasks/{id}/complete":       {sessiontest.Owned, "version=1"},
	"POST /page/tasks/{id}/reopen":         {sessiontest.Owned, "version=1"},
	"POST /page/tasks/{id}/delete":         {sessiontest.Owned, "version=1"},
	"POST /page/sign-in":                   {sessiontest.Open, "email=owner@example.com&password=" + userPassword},
	"GET /page/sign-up":                    {sessiontest.Open, ""},
	"POST /page/sign-up":                   {sessiontest.Open, "email=<new>@example.com&password=" + userPassword},
	"POST /page/sign-out":                  {sessiontest.Open, ""},
	"GET /page/account":                    {sessiontest.Open, ""},
	"POST /page/account/password":          {sessiontest.Personal, "current_password=" + userPassword + "&password=" + userPassword},
	"POST /page/account/sessions/{id}/end": {sessiontest.Personal, ""}, // to end what has ended is no error
	"POST /page/account/sessions/end":      {sessiontest.Personal, ""},
}

// setsCookie has the routes whose successful responses set the cookie of the session, or
// delete it.
var setsCookie = []string{"POST /page/sign-in", "POST /page/sign-up", "POST /page/sign-out", "POST /page/account/sessions/end"}

func TestEveryRouteOfThePageGivesEveryClientWhatItMayHave(t *testing.T) {
	t.Parallel()
	m := newMatrix(t)
	m.client = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	icon, err := m.client.Get("http://" + m.cfg.HTTP.Addr + "/favicon.ico")
	if err != nil {
		t.Fatal(err)
	}
	icon.Body.Close()
	m.asset = icon.Header.Get("Location")
	m.checkRoutes(web.Routes(), pageRoutes)
}

// sendHTTP sends the request of a cell.
func (m *matrix) sendHTTP(name string, route route, client sessiontest.Client) error {
	m.Helper()
	method, path, _ := strings.Cut(name, " ")
	id, token := m.newTask(), m.credential(client.Credential)
	path = strings.NewReplacer("/tasks/{id}", "/tasks/"+strconv.FormatInt(id, 10), "/docs/{asset}", "/docs/swagger-ui.css",
		"/assets/{hash}/{name}", m.asset, "{$}", "").Replace(path)
	if path == "/page/" { // of this pattern, and in clean form
		path += "tasks"
	}
	if strings.Contains(path, "/sessions/{id}") {
		_, started, err := m.sessions.Create(m.Context(), m.users[sessiontest.OfOwner])
		if err != nil {
			return err
		}
		path = strings.Replace(path, "{id}", started.ID, 1)
	}
	address := m.nextAddress()
	body := strings.Replace(route.body, "<new>", address, 1)
	r, err := http.NewRequestWithContext(m.Context(), method, "http://"+m.cfg.HTTP.Addr+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	switch {
	case strings.HasPrefix(path, "/page/"):
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	case body != "":
		r.Header.Set("Content-Type", "application/json")
	}
	r.Header.Set("X-Forwarded-For", address)
	client.SetCredential(r, token)
	response, text, err := m.exchange(r) //nolint:bodyclose // exchange closes it
	if err != nil {
		return err
	}
	secrets := []string{userPassword}
	if token != "" {
		secrets = append(secrets, token)
	}
	if client.Credential != sessiontest.OfOwner {
		secrets = append(secrets, mark)
	}
	if response.StatusCode == http.StatusSeeOther && slices.Contains(setsCookie, name) {
		response.Header.Del("Set-Cookie")
	}
	err = client.Check(route.access, response, text, secrets...)
	if client.WantStatus(route.access, method) != http.StatusOK {
		err = errors.Join(err, m.wantUntouched(id))
	}
	return err
}

// exchange sends the request and returns the response with its body, which of a stream is
// "". The error is errBusy if the service has no time for the request.
func (m *matrix) exchange(r *http.Request) (response *http.Response, body string, err error) {
	m.Helper()
	response, err = m.client.Do(r)
	if err != nil {
		return nil, "", err
	}
	defer response.Body.Close()
	switch {
	case response.StatusCode == http.StatusServiceUnavailable:
		return nil, "", errBusy
	case strings.HasPrefix(response.Header.Get("Content-Type"), "text/event-stream"):
		return response, "", nil
	}
	text, err := io.ReadAll(response.Body)
	return response, string(text), err
}
