package session_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace/noop"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	"example.com/todo/platform/grpcserver"
	"example.com/todo/platform/httpserver"
	"example.com/todo/platform/logging"
	"example.com/todo/platform/process/processtest"
	"example.com/todo/platform/session"
	"example.com/todo/platform/testenv"
	"example.com/todo/platform/testenv/netproxy"
)

// server serves HTTP and gRPC behind an Authenticator, with the log of a service.
type server struct {
	http   *httptest.Server
	grpc   *grpc.ClientConn
	passed atomic.Int64 // requests and calls that passed the Authenticator
	log    processtest.Log
}

func startServer(t *testing.T, store *session.Store) *server {
	t.Helper()
	s := &server{}
	log := logging.New(&s.log, logging.Config{Level: slog.LevelDebug}, "test")
	watcher := session.NewWatcher(store, log)
	auth := &session.Authenticator{Check: store.Check, Watcher: watcher}
	telemetry := httpserver.Telemetry{Log: log, Registry: prometheus.NewRegistry(), Tracer: noop.NewTracerProvider()}
	s.http = httptest.NewServer(httpserver.Instrument(auth.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.passed.Add(1)
		if r.URL.Path != "/events" {
			return
		}
		stream := httpserver.NewStream(w, r, time.Minute)
		ctx, stop := watcher.Watch(stream.Context())
		defer stop()
		_, _ = stream.Write([]byte("open\n"))
		<-ctx.Done()
		_, _ = stream.Write([]byte(context.Cause(ctx).Error()))
		stream.Close(context.Cause(ctx))
	})), httpserver.Defaults(""), telemetry))
	t.Cleanup(s.http.Close)

	rpc, err := grpcserver.Listen(grpcserver.Defaults("127.0.0.1:0"), func(l net.Listener) net.Listener { return l }, grpcserver.Telemetry(telemetry),
		func(grpc.ServiceRegistrar) {},
		grpc.ChainUnaryInterceptor(auth.Unary),
		grpc.ChainStreamInterceptor(auth.Stream, func(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
			if strings.Contains(info.FullMethod, "Reflection") {
				s.passed.Add(1)
				if session.UserFrom(stream.Context()) != ann {
					t.Error("the call has no user")
				}
			}
			return next(srv, stream)
		}))
	if err != nil {
		t.Fatal(err)
	}
	if s.grpc, err = grpc.NewClient(rpc.Addr(), grpc.WithTransportCredentials(insecure.NewCredentials())); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 2)
	go func() { ended <- rpc.Run(ctx) }()
	go func() { ended <- watcher.Run(ctx) }()
	t.Cleanup(func() {
		s.grpc.Close()
		cancel()
		<-ended
		<-ended
	})
	return s
}

// get sends a request with the token in a header and returns the status.
func (s *server) get(t *testing.T, token string) int {
	t.Helper()
	status, _ := s.open(t, "/", token)
	return status
}

// open sends a request and returns status and body, which is closed when the test ends.
func (s *server) open(t *testing.T, path, token string) (status int, body io.Reader) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.http.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := s.http.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp.StatusCode, resp.Body
}

// reflect opens a stream of the reflection service and returns the error of its first answer.
func (s *server) reflect(t *testing.T, token string) (reflectionpb.ServerReflection_ServerReflectionInfoClient, error) {
	t.Helper()
	ctx := t.Context()
	if token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
	}
	stream, err := reflectionpb.NewServerReflectionClient(s.grpc).ServerReflectionInfo(ctx)
	if err != nil {
		t.Fatal(err)
	}
	_ = stream.Send(&reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{}})
	_, err = stream.Recv()
	return stream, err
}

func TestCallsNeedASessionAndHealthDoesNot(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	token, _ := f.create(t, ann)
	s := startServer(t, f.Store)
	for credential, want := range map[string]codes.Code{"": codes.Unauthenticated, others: codes.Unauthenticated, "x": codes.Unauthenticated, token: codes.OK} {
		if _, err := s.reflect(t, credential); status.Code(err) != want {
			t.Errorf("with %q: got %v", credential, err)
		}
	}
	if n := s.passed.Load(); n != 1 {
		t.Errorf("%d calls passed", n)
	}
	if _, err := healthpb.NewHealthClient(s.grpc).Check(t.Context(), &healthpb.HealthCheckRequest{}); err != nil {
		t.Errorf("health: %v", err)
	}
	// Every unary method of the server is of the health service.
	auth := &session.Authenticator{Check: f.Check}
	method := func(ctx context.Context, _ any) (any, error) { return session.UserFrom(ctx), nil }
	info := &grpc.UnaryServerInfo{FullMethod: "/things.Things/Get"}
	if got, err := auth.Unary(t.Context(), nil, info, method); err == nil {
		t.Errorf("without a token: %v", got)
	}
	ctx := metadata.NewIncomingContext(t.Context(), metadata.Pairs("authorization", "Bearer "+token))
	if got, err := auth.Unary(ctx, nil, info, method); err != nil || got != ann {
		t.Errorf("with a token: %v, %v", got, err)
	}
}

func TestRevokedSessionEndsTheStreamsOfEveryReplicaWithinASecond(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	token, created := f.create(t, ann)
	keptToken, _ := f.create(t, ann)
	var ended []chan time.Time
	var kept []io.Reader
	wait := func(receive func()) {
		at := make(chan time.Time, 1)
		ended = append(ended, at)
		go func() {
			receive()
			at <- time.Now()
		}()
	}
	for range 2 {
		s := startServer(t, f.replica(openClient(t, testenv.RequireEnv(t, "TEST_REDIS_ADDR"))))
		call, err := s.reflect(t, token)
		if err != nil {
			t.Fatal(err)
		}
		wait(func() {
			if _, err := call.Recv(); status.Code(err) != codes.Unauthenticated {
				t.Errorf("the call ended with %v", err)
			}
		})
		_, events := s.open(t, "/events", token)
		wait(func() {
			var body strings.Builder
			if _, err := io.Copy(&body, events); err != nil || !strings.Contains(body.String(), "no valid session") {
				t.Errorf("the response is %q, %v", body.String(), err)
			}
		})
		_, other := s.open(t, "/events", keptToken)
		kept = append(kept, other)
	}
	revoked := time.Now()
	if err := f.Revoke(t.Context(), ann.ID, created.ID); err != nil {
		t.Fatal(err)
	}
	for _, at := range ended {
		if took := (<-at).Sub(revoked); took > 5*time.Second { // a second, on a machine that does nothing else
			t.Errorf("a stream ended after %v", took)
		}
	}
	for _, body := range kept {
		if n, err := body.Read(make([]byte, 100)); n != len("open\n") || err != nil {
			t.Errorf("the stream of another session: %d bytes, %v", n, err)
		}
	}
}

func TestNoRequestPassesWhileRedisIsFrozen(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	token, _ := f.create(t, ann)
	store, proxy := unreachable(t, f)
	s := startServer(t, store)
	testenv.Eventually(t, "a request passes", func() bool { return s.get(t, token) == http.StatusOK })
	passed := s.passed.Load()

	proxy.SetMode(netproxy.Stall)
	var took []time.Duration
	for range 15 {
		began := time.Now()
		if got := s.get(t, token); got != http.StatusServiceUnavailable {
			t.Errorf("got %d", got)
		}
		took = append(took, time.Since(began))
	}
	if _, err := s.reflect(t, token); status.Code(err) != codes.Unavailable {
		t.Errorf("the call got %v", err)
	}
	if got := s.get(t, "x"); got != http.StatusUnauthorized {
		t.Errorf("a malformed token got %d", got)
	}
	if n := s.passed.Load(); n != passed {
		t.Errorf("%d requests passed", n-passed)
	}
	// The fastest: a busy machine delays others.
	if fastest := slices.Min(took); fastest > 50*time.Millisecond {
		t.Errorf("it took %v", took)
	}

	proxy.SetMode(netproxy.Forward)
	testenv.EventuallyWithin(t, 5*time.Second, "requests pass again", func() bool { return s.get(t, token) == http.StatusOK })
}

func TestNoTokenIsLogged(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	token, created := f.create(t, ann)
	store, proxy := unreachable(t, f)
	s := startServer(t, store)
	secrets := []string{token, others, "eyJhbGciOiJub25lIn0", "planted"}
	send := func() {
		for _, credential := range append(secrets, "planted-"+token, token+token) {
			s.get(t, credential)
			_, _ = s.reflect(t, credential)
			s.open(t, "/?token="+credential, credential)
			s.open(t, "/events?access_token="+credential, "")
		}
	}
	send()
	stream, _ := s.reflect(t, token)
	proxy.SetMode(netproxy.Stall)
	send()
	proxy.SetMode(netproxy.Reject)
	send()
	proxy.SetMode(netproxy.Forward)
	testenv.Eventually(t, "the session is revoked", func() bool { return store.Revoke(t.Context(), ann.ID, created.ID) == nil })
	send()
	if stream != nil {
		_, _ = stream.Recv()
	}
	text := s.log.String()
	if !strings.Contains(text, "malformed token") || !strings.Contains(text, "has ended") || !strings.Contains(text, "check a session") {
		t.Error("the log does not say why requests were refused")
	}
	for _, secret := range secrets {
		if at := strings.Index(text, secret); at >= 0 {
			t.Errorf("the log has %q: …%.300s", secret, text[max(0, at-150):])
		}
	}
}
