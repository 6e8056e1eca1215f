package grpcapi_test

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	reflection "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	pb "example.com/todo/contracts/gen/task"
	"example.com/todo/platform/apperr"
	"example.com/todo/platform/session"
	"example.com/todo/todo-service/internal/grpcapi"
	"example.com/todo/todo-service/internal/memstore"
	"example.com/todo/todo-service/internal/ratelimit"
)

// Tokens of a session that is known, and of one that is not.
var (
	annsToken = strings.Repeat("A", 43)
	noToken   = strings.Repeat("B", 42) + "A"
)

// fakeSessions knows one session.
type fakeSessions struct{ away, loses bool }

func (s *fakeSessions) Check(_ context.Context, token string) (session.Session, error) {
	switch {
	case s.away:
		return session.Session{}, apperr.New(apperr.Unavailable, "sessions are away")
	case token != annsToken:
		return session.Session{}, apperr.New(apperr.Unauthenticated, "sign in")
	}
	return session.Session{ID: "1", User: session.User{ID: 7}}, nil
}

func newSignInFixture(t *testing.T) (*apiFixture, *fakeSessions) {
	t.Helper()
	sessions := &fakeSessions{}
	return newFixtureWith(t, memstore.New(), func(s *apiFixture) *grpcapi.SignIn {
		return &grpcapi.SignIn{
			Credentials: &session.Authenticator{Check: sessions.Check},
			Authenticate: func(ctx context.Context, token string, client netip.Addr) (context.Context, ratelimit.Decision, error) {
				checked, err := sessions.Check(ctx, token)
				if err != nil {
					return ctx, s.limiter.Allow(ctx, client), err
				}
				s.limiter.mu.Lock()
				defer s.limiter.mu.Unlock()
				s.limiter.clients = append(s.limiter.clients, fmt.Sprintf("user:%d", checked.User.ID))
				if sessions.loses {
					return ctx, s.limiter.decision, nil
				}
				return session.WithSession(ctx, checked), s.limiter.decision, nil
			},
		}
	}), sessions
}

// callEverything calls each method and a stream of reflection, and returns the status
// codes by method.
func callEverything(ctx context.Context, t *testing.T, conn *grpc.ClientConn) map[string]codes.Code {
	t.Helper()
	got := map[string]codes.Code{}
	for _, method := range pb.TaskService_ServiceDesc.Methods {
		// The empty message is one of every method.
		got[method.MethodName] = status.Code(conn.Invoke(ctx, "/task.TaskService/"+method.MethodName, &pb.CountTasksRequest{}, &pb.CountTasksResponse{}))
	}
	watch, err := pb.NewTaskServiceClient(conn).WatchTasks(ctx, &pb.WatchTasksRequest{})
	if err == nil {
		if header, _ := watch.Header(); header.Get("resume-token") == nil { // it did not begin
			_, err = watch.Recv()
		}
	}
	got["WatchTasks"] = status.Code(err)
	info, err := reflection.NewServerReflectionClient(conn).ServerReflectionInfo(ctx)
	if err == nil {
		_ = info.Send(&reflection.ServerReflectionRequest{MessageRequest: &reflection.ServerReflectionRequest_ListServices{}})
		_, err = info.Recv()
	}
	got["reflection"] = status.Code(err)
	return got
}

func TestEveryCallNeedsASessionExceptHealth(t *testing.T) {
	t.Parallel()
	s, _ := newSignInFixture(t)
	for name, pairs := range map[string][]string{
		"nothing":           nil,
		"an unknown token":  {"authorization", "Bearer " + noToken},
		"a JWT":             {"authorization", "Bearer aaa.bbb.ccc"},
		"another scheme":    {"authorization", "Basic " + annsToken},
		"two tokens":        {"authorization", "Bearer " + annsToken, "authorization", "Bearer " + annsToken},
		"a cookie":          {"cookie", "session=" + annsToken},
		"the token alone":   {"authorization", annsToken},
		"another key":       {"x-authorization", "Bearer " + annsToken},
		"an empty metadata": {"authorization", ""},
	} {
		ctx, cancel := context.WithTimeout(metadata.AppendToOutgoingContext(t.Context(), pairs...), 10*time.Second)
		defer cancel()
		for method, code := range callEverything(ctx, t, s.conn) {
			if code != codes.Unauthenticated {
				t.Errorf("%s with %s: %v", method, name, code)
			}
		}
		if _, err := grpc_health_v1.NewHealthClient(s.conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{}); err != nil {
			t.Errorf("health with %s: %v", name, err)
		}
	}
}

func TestCallsWithASessionPass(t *testing.T) {
	t.Parallel()
	s, sessions := newSignInFixture(t)
	s.watcher.err = io.EOF
	ctx, cancel := context.WithTimeout(metadata.AppendToOutgoingContext(t.Context(), "authorization", "bearer "+annsToken), 10*time.Second)
	defer cancel()
	for method, code := range callEverything(ctx, t, s.conn) {
		if code == codes.Unauthenticated {
			t.Errorf("%s: %v", method, code)
		}
	}
	sessions.away = true
	for method, code := range callEverything(ctx, t, s.conn) {
		if code != codes.Unavailable {
			t.Errorf("%s while sessions are away: %v", method, code)
		}
	}
}

func TestNoCallWithoutAUserPasses(t *testing.T) {
	t.Parallel()
	s, sessions := newSignInFixture(t)
	sessions.loses = true
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+annsToken)
	if _, err := pb.NewTaskServiceClient(s.conn).CountTasks(ctx, &pb.CountTasksRequest{}); status.Code(err) != codes.Unauthenticated {
		t.Errorf("got %v", err)
	}
}

func TestCallsCountForTheUserOrTheAddress(t *testing.T) {
	t.Parallel()
	s, _ := newSignInFixture(t)
	for _, header := range []string{"Bearer " + annsToken, "Bearer " + noToken, "Bearer short", ""} {
		ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", header)
		_, err := pb.NewTaskServiceClient(s.conn).CountTasks(ctx, &pb.CountTasksRequest{})
		if (err == nil) != strings.HasSuffix(header, annsToken) {
			t.Errorf("%q: %v", header, err)
		}
	}
	if want := []string{"user:7", "127.0.0.1", "127.0.0.1", "127.0.0.1"}; !slices.Equal(s.limiter.clients, want) {
		t.Errorf("counted %q, want %q", s.limiter.clients, want)
	}
	s.limiter.decision = ratelimit.Decision{Limit: 60, RetryAfter: time.Second}
	for _, header := range []string{"Bearer " + annsToken, "Bearer " + noToken, ""} {
		ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", header)
		if _, err := pb.NewTaskServiceClient(s.conn).CountTasks(ctx, &pb.CountTasksRequest{}); status.Code(err) != codes.ResourceExhausted {
			t.Errorf("%q over the limit: %v", header, err)
		}
	}
}

func TestStreamsAreLimitedByUser(t *testing.T) {
	t.Parallel()
	s, _ := newSignInFixture(t)
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+annsToken)
	client := pb.NewTaskServiceClient(s.conn)
	var err error
	for range maxStreams {
		stream, openErr := client.WatchTasks(ctx, &pb.WatchTasksRequest{})
		if openErr != nil {
			t.Fatal(openErr)
		}
		if header, _ := stream.Header(); header.Get("resume-token") == nil {
			_, err = stream.Recv()
		}
	}
	if status.Code(err) != codes.ResourceExhausted {
		t.Errorf("one stream too many of a user: %v", err)
	}
	// Another client of the same address: the probe, which has no session.
	watch, err := grpc_health_v1.NewHealthClient(s.conn).Watch(t.Context(), &grpc_health_v1.HealthCheckRequest{})
	if err == nil {
		_, err = watch.Recv()
	}
	if err != nil {
		t.Errorf("a stream of the address: %v", err)
	}
}
