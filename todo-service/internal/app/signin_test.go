package app

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	pb "example.com/todo/contracts/gen/task"
	"example.com/todo/contracts/openapi"
	"example.com/todo/platform/config"
	"example.com/todo/platform/openapitest"
	"example.com/todo/platform/process/processtest"
	"example.com/todo/platform/testenv"
	"example.com/todo/platform/testenv/netproxy"
)

const password = "a long-tailed tit"

// signInFixture is a replica of the service with sign-in, over a real database and a real
// Redis, which a test can freeze.
type signInFixture struct {
	testing.TB
	cfg    Config
	redis  *netproxy.Proxy
	client *http.Client
}

func serveWithSignIn(t testing.TB, dsn *url.URL, prefix string, options ...func(*Config)) signInFixture {
	t.Helper()
	cfg := withoutServers(t)
	cfg.Postgres.DSN = config.Secret(dsn.String())
	proxy := testenv.StartProxy(t, testenv.RequireEnv(t, "TEST_REDIS_ADDR"))
	cfg.Redis.Addr, cfg.Redis.KeyPrefix = proxy.Addr(), prefix
	cfg.Auth.Mode, cfg.Auth.SignUp, cfg.RateLimit.Requests = "on", "open", 100_000
	for _, option := range options {
		option(&cfg)
	}
	serve(t, cfg)
	awaitReady(t, cfg)
	document, err := openapitest.Parse(openapi.Todo)
	if err != nil {
		t.Fatal(err)
	}
	return signInFixture{t, cfg, proxy, &http.Client{Transport: document.Transport(http.DefaultTransport)}}
}

func newPrefix() string { return fmt.Sprintf("signin-%016x:", rand.Uint64()) }

// request sends a request with the token, unless that is "", and returns status and body.
func (f signInFixture) request(token, method, path, body string) (code int, text string) {
	f.Helper()
	r, err := http.NewRequestWithContext(f.Context(), method, "http://"+f.cfg.HTTP.Addr+path, strings.NewReader(body))
	if err != nil {
		f.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := f.client.Do(r)
	if err != nil {
		f.Fatal(err)
	}
	defer response.Body.Close()
	read, err := io.ReadAll(response.Body)
	if err != nil {
		f.Error(err)
	}
	return response.StatusCode, string(read)
}

// wantStatus sends a request, and wants the status. On a machine that is busy with other
// work Redis may not answer within 40 ms: the response is then 503, which is safe to repeat.
func (f signInFixture) wantStatus(want int, token, method, path, body string) (text string) {
	f.Helper()
	got := 0
	testenv.Eventually(f.TB, method+" "+path+" is answered", func() bool {
		got, text = f.request(token, method, path, body)
		return got == want || got != http.StatusServiceUnavailable
	})
	if got != want {
		f.Errorf("%s %s: %d %s, want %d", method, path, got, text, want)
	}
	return text
}

// signUp makes a user.
func (f signInFixture) signUp(email string) {
	f.Helper()
	f.wantStatus(http.StatusCreated, "", "POST", "/users", fmt.Sprintf(`{"email":%q,"password":%q}`, email, password))
}

// signIn returns the token of a new session.
func (f signInFixture) signIn(email string) string {
	f.Helper()
	text := f.wantStatus(http.StatusCreated, "", "POST", "/sessions", fmt.Sprintf(`{"email":%q,"password":%q}`, email, password))
	var started struct {
		Token string `json:"token"`
	}
	if err := json.Unmarshal([]byte(text), &started); err != nil {
		f.Fatal(err)
	}
	return started.Token
}

// wantCode counts the tasks over gRPC, and wants the status, as wantStatus does.
func (f signInFixture) wantCode(want codes.Code, token string) {
	f.Helper()
	client := pb.NewTaskServiceClient(dial(f.TB, f.cfg.GRPC.Addr))
	var got codes.Code
	testenv.Eventually(f.TB, "a call is answered", func() bool {
		_, err := client.CountTasks(metadata.AppendToOutgoingContext(f.Context(), "authorization", "Bearer "+token), &pb.CountTasksRequest{})
		got = status.Code(err)
		return got == want || got != codes.Unavailable
	})
	if got != want {
		f.Errorf("over gRPC: %v, want %v", got, want)
	}
}

func TestUsersSeeTheirOwnTasksOverBothTransports(t *testing.T) {
	t.Parallel()
	f := serveWithSignIn(t, migratedDatabase(t), newPrefix())
	f.signUp("ann@example.com")
	f.signUp("bob@example.com")
	ann, bob := f.signIn("ann@example.com"), f.signIn("bob@example.com")
	f.wantStatus(http.StatusCreated, ann, "POST", "/tasks", `{"title":"of Ann"}`)
	for range 2 { // from the database, and from the cache
		if text := f.wantStatus(http.StatusOK, ann, "GET", "/tasks", ""); !strings.Contains(text, "of Ann") {
			t.Errorf("Ann's list is %s", text)
		}
		if text := f.wantStatus(http.StatusOK, bob, "GET", "/tasks", ""); text != "[]" {
			t.Errorf("Bob's list is %s", text)
		}
	}
	f.wantStatus(http.StatusCreated, ann, "POST", "/tasks", `{"title":"another of Ann"}`)
	if text := f.wantStatus(http.StatusOK, ann, "GET", "/tasks", ""); !strings.Contains(text, "another of Ann") {
		t.Errorf("Ann's list after her change is %s", text)
	}
	f.wantStatus(http.StatusOK, ann, "GET", "/tasks/1", "")
	f.wantStatus(http.StatusNotFound, bob, "GET", "/tasks/1", "")
	f.wantStatus(http.StatusUnauthorized, "", "GET", "/tasks/1", "")
	for path, want := range map[string]int{"/": 200, "/page/account": 200, "/docs": 200, "/favicon.ico": 200} {
		if got := getStatus("http://" + f.cfg.HTTP.Addr + path); got != want {
			t.Errorf("%s: %d, want %d", path, got, want)
		}
	}
	for token, want := range map[string]codes.Code{ann: codes.OK, "": codes.Unauthenticated, strings.Repeat("A", 43): codes.Unauthenticated} {
		f.wantCode(want, token)
	}
	f.wantStatus(http.StatusNoContent, bob, "DELETE", "/sessions", "")
	f.wantCode(codes.Unauthenticated, bob)
}

func TestRevokedSessionIsRefusedByEveryReplicaAndEndsItsStreams(t *testing.T) {
	t.Parallel()
	dsn, prefix := migratedDatabase(t), newPrefix()
	replicas := []signInFixture{serveWithSignIn(t, dsn, prefix), serveWithSignIn(t, dsn, prefix)}
	replicas[0].signUp("ann@example.com")
	stays, ends := replicas[0].signIn("ann@example.com"), replicas[0].signIn("ann@example.com")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var ended, open []stream
	for _, f := range replicas {
		ended = append(ended, f.openEvents(ctx, ends), f.openWatch(ctx, ends))
		open = append(open, f.openEvents(ctx, stays), f.openWatch(ctx, stays))
	}
	change := fmt.Sprintf(`{"password":"three blind mice run","current_password":%q}`, password)
	replicas[0].wantStatus(http.StatusOK, stays, "PATCH", "/users/me", change)
	changed := time.Now()
	for _, f := range replicas {
		f.wantStatus(http.StatusUnauthorized, ends, "GET", "/tasks", "")
		f.wantStatus(http.StatusOK, stays, "GET", "/tasks", "")
		f.wantCode(codes.Unauthenticated, ends)
	}
	for _, s := range ended {
		if got := s.last(); got != s.unauthenticated {
			t.Errorf("a stream of the revoked session ends with %q, want %q", got, s.unauthenticated)
		}
	}
	if took := time.Since(changed); took > 5*time.Second { // a second, on a machine that does nothing else
		t.Errorf("the streams ended after %v", took)
	}
	// The other streams get the next change.
	replicas[0].wantStatus(http.StatusCreated, stays, "POST", "/tasks", `{"title":"A"}`)
	for _, s := range open {
		if got := s.next(); !strings.Contains(got, "task.created") {
			t.Errorf("a stream of the session that stays gets %q", got)
		}
	}
}

// stream is an open stream of changes.
type stream struct {
	next            func() string // waits for the next change, or for the end
	last            func() string // waits for the end
	unauthenticated string        // what last returns after the end of the session
}

// openEvents opens server-sent events, after their first bookmark.
func (f signInFixture) openEvents(ctx context.Context, token string) stream {
	f.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+f.cfg.HTTP.Addr+"/events", http.NoBody)
	if err != nil {
		f.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	var lines *bufio.Scanner
	testenv.Eventually(f.TB, "a stream is opened", func() bool {
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			return false
		}
		f.Cleanup(func() { response.Body.Close() })
		lines = bufio.NewScanner(response.Body)
		return response.StatusCode == http.StatusOK
	})
	next := func() string {
		for lines.Scan() {
			if strings.HasPrefix(lines.Text(), "event: ") {
				return lines.Text()
			}
		}
		return "the end"
	}
	for lines.Scan() && lines.Text() != "" {
	}
	return stream{next: next, unauthenticated: "event: unauthenticated", last: func() (last string) {
		for got := next(); got != "the end"; got = next() {
			last = got
		}
		return last
	}}
}

// openWatch opens WatchTasks, after its header.
func (f signInFixture) openWatch(ctx context.Context, token string) stream {
	f.Helper()
	ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
	client := pb.NewTaskServiceClient(dial(f.TB, f.cfg.GRPC.Addr))
	var watch grpc.ServerStreamingClient[pb.TaskEvent]
	testenv.Eventually(f.TB, "a watch is opened", func() bool {
		var err error
		if watch, err = client.WatchTasks(ctx, &pb.WatchTasksRequest{}); err != nil {
			return false
		}
		header, err := watch.Header()
		return err == nil && len(header.Get("resume-token")) > 0
	})
	next := func() string {
		event, err := watch.Recv()
		if err != nil {
			return status.Code(err).String()
		}
		return event.GetEventType()
	}
	return stream{next: next, last: next, unauthenticated: codes.Unauthenticated.String()}
}

func TestWithoutRedisNoRequestThatNeedsASessionGetsThrough(t *testing.T) {
	t.Parallel()
	f := serveWithSignIn(t, migratedDatabase(t), newPrefix())
	f.signUp("ann@example.com")
	token := f.signIn("ann@example.com")
	credentials := fmt.Sprintf(`{"email":"ann@example.com","password":%q}`, password)
	for _, mode := range []netproxy.Mode{netproxy.Stall, netproxy.Reject} {
		f.redis.SetMode(mode)
		for range 5 {
			f.wantStatus(http.StatusServiceUnavailable, token, "GET", "/tasks", "")
			f.wantStatus(http.StatusServiceUnavailable, token, "POST", "/tasks", `{"title":"A"}`)
			f.wantStatus(http.StatusServiceUnavailable, token, "GET", "/events", "")
			f.wantStatus(http.StatusServiceUnavailable, token, "GET", "/users/me", "")
			f.wantStatus(http.StatusServiceUnavailable, "", "POST", "/sessions", credentials)
			f.wantStatus(http.StatusUnauthorized, "", "GET", "/tasks", "")
			f.wantStatus(http.StatusOK, "", "GET", "/docs", "")
			f.wantCode(codes.Unavailable, token)
		}
		f.redis.SetMode(netproxy.Forward)
		if text := f.wantStatus(http.StatusOK, token, "GET", "/tasks", ""); text != "[]" {
			t.Errorf("a request without a check of its session got through: %s", text)
		}
	}
}

// The limit is that of the median: a busy machine delays some.
func TestFrozenRedisIsAnsweredWithin50MillisecondsOverBothTransports(t *testing.T) {
	t.Parallel()
	f := serveWithSignIn(t, migratedDatabase(t), newPrefix())
	f.signUp("ann@example.com")
	token := f.signIn("ann@example.com")
	f.wantStatus(http.StatusOK, token, "GET", "/tasks", "")
	f.wantCode(codes.OK, token)
	client := pb.NewTaskServiceClient(dial(t, f.cfg.GRPC.Addr))
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+token)
	f.redis.SetMode(netproxy.Stall)
	for name, send := range map[string]func(){
		"GET /tasks":     func() { f.wantStatus(http.StatusServiceUnavailable, token, "GET", "/tasks", "") },
		"POST /tasks":    func() { f.wantStatus(http.StatusServiceUnavailable, token, "POST", "/tasks", `{"title":"A"}`) },
		"GET /users/me":  func() { f.wantStatus(http.StatusServiceUnavailable, token, "GET", "/users/me", "") },
		"an RPC":         func() { wantUnavailable(t, second(client.CountTasks(ctx, &pb.CountTasksRequest{}))) },
		"an RPC's write": func() { wantUnavailable(t, second(client.CreateTask(ctx, &pb.CreateTaskRequest{Title: "A"}))) },
	} {
		var took []time.Duration
		for range 20 {
			began := time.Now()
			send()
			took = append(took, time.Since(began))
		}
		slices.Sort(took)
		if median := took[len(took)/2]; median > 50*time.Millisecond {
			t.Errorf("%s: the answers took %v", name, took)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func wantUnavailable(t *testing.T, err error) {
	t.Helper()
	if status.Code(err) != codes.Unavailable {
		t.Errorf("got %v, want Unavailable", err)
	}
}

func TestUsersAreMadeListedDisabledAndEnabledByCommand(t *testing.T) {
	t.Parallel()
	f := serveWithSignIn(t, migratedDatabase(t), newPrefix())
	env := []string{
		"POSTGRES_DSN=" + f.cfg.Postgres.DSN.Reveal(), "REDIS_ADDR=" + f.cfg.Redis.Addr, "REDIS_KEY_PREFIX=" + f.cfg.Redis.KeyPrefix,
		"POSTGRES_CONNECT_TIMEOUT=1m", "REDIS_TIMEOUT=10s",
	}
	for _, step := range []struct {
		args, stdin string
		exit        int
		want        string // a part of the output
	}{
		{"create --email Ann@example.com --admin", password + "\n", 0, "user 1: ann@example.com\n"},
		{"create --email ann@example.com", password, 1, "a user with this e-mail exists already"},
		{"create --email bob@example.com", "short", 2, "password must have from 12 to 128 characters"},
		{"create --email bob@example.com", password + "\n" + password + "\n", 2, "one line"},
		{"create --email bob", password, 2, "email must be an e-mail address"},
		{"create", password, 2, "email must not be empty"},
		{"create bob@example.com", password, 2, "takes no"},
		{"create --email bob@example.com --password p", "", 2, "unknown flag"},
		{"list", "", 0, "1   ann@example.com  admin  enabled"},
		{"disable --email ann@example.com", "", 0, "user 1 (ann@example.com) disabled\n"},
		{"list", "", 0, "disabled"},
		{"enable --id 1", "", 0, "enabled"},
		{"disable --id 7", "", 1, "there is no such user"},
		{"disable", "", 2, "--email or by --id"},
		{"disable --id 1 --email ann@example.com", "", 2, "--email or by --id"},
		{"set-password --id 1", "three blind mice run\n", 0, "has a new password"},
		{"adopt --email ann@example.com", "", 0, "user 1 (ann@example.com) has 0 more tasks"},
	} {
		cmd := processtest.Command(env, append([]string{"users"}, strings.Fields(step.args)...)...)
		cmd.Stdin = strings.NewReader(step.stdin)
		output, _ := cmd.CombinedOutput()
		if got := cmd.ProcessState.ExitCode(); got != step.exit || !bytes.Contains(output, []byte(step.want)) {
			t.Errorf("users %s: exit status %d, want %d: %s", step.args, got, step.exit, output)
		}
		if bytes.Contains(output, []byte(password)) {
			t.Errorf("users %s shows the password: %s", step.args, output)
		}
	}
}

func TestCommandEndsSessionsOfARunningReplicaAndFailsWithoutRedis(t *testing.T) {
	t.Parallel()
	f := serveWithSignIn(t, migratedDatabase(t), newPrefix())
	f.signUp("ann@example.com")
	token := f.signIn("ann@example.com")
	env := []string{"POSTGRES_DSN=" + f.cfg.Postgres.DSN.Reveal(), "REDIS_ADDR=" + f.cfg.Redis.Addr, "REDIS_KEY_PREFIX=" + f.cfg.Redis.KeyPrefix}
	f.redis.SetMode(netproxy.Reject)
	output, _ := processtest.Command(env, "users", "disable", "--email", "ann@example.com").CombinedOutput()
	if !bytes.Contains(output, []byte("run the command again")) {
		t.Errorf("without Redis: %s", output)
	}
	f.redis.SetMode(netproxy.Forward)
	testenv.Eventually(t, "Redis answers the command", func() bool {
		return processtest.Command(env, "users", "disable", "--email", "ann@example.com").Run() == nil
	})
	f.wantStatus(http.StatusUnauthorized, token, "GET", "/tasks", "")
	f.wantStatus(http.StatusUnauthorized, "", "POST", "/sessions", fmt.Sprintf(`{"email":"ann@example.com","password":%q}`, password))
}

func TestPagesOfListedOriginsMaySendATokenWhereThereIsSignIn(t *testing.T) {
	t.Parallel()
	for mode, want := range map[string]string{"on": "authorization", "off": ""} {
		cfg := withoutServers(t)
		cfg.Auth.Mode, cfg.HTTP.CORSOrigins = mode, []string{"https://app.example.com"}
		serve(t, cfg)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodOptions, "http://"+cfg.HTTP.Addr+"/tasks", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Origin", "https://app.example.com")
		r.Header.Set("Access-Control-Request-Method", http.MethodGet)
		r.Header.Set("Access-Control-Request-Headers", "authorization")
		testenv.Eventually(t, "the preflight is answered", func() bool {
			response, err := http.DefaultClient.Do(r)
			if err != nil {
				return false
			}
			response.Body.Close()
			if got := response.Header.Get("Access-Control-Allow-Headers"); got != want {
				t.Errorf("sign-in %s: the allowed headers are %q, want %q", mode, got, want)
			}
			return true
		})
	}
}
