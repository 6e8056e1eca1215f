package grpcserver_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	grpcpeer "google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"example.com/todo/platform/grpcserver"
)

// The streams of a connection end before it is closed, and whoever comes back finds
// a new one: it would be told to leave again over the old one.
func TestStreamsEndAtTheMaxAgeOfTheirConnectionAndContinueOnANewOne(t *testing.T) {
	t.Parallel()
	const age = 500 * time.Millisecond
	watched := make(chan string, 100) // the addresses from which it was
	r := startServer(t, echoService{
		say: func(context.Context, string) (string, error) { return "answered", nil },
		watch: func(_ string, stream grpc.ServerStream) error {
			from, _ := grpcpeer.FromContext(stream.Context())
			watched <- from.Addr.String()
			<-stream.Context().Done()
			return stream.Context().Err()
		},
	}, nil, nil, func(cfg *grpcserver.Config, _ *grpcserver.Telemetry) { cfg.MaxConnAge = age })
	seen := map[string]bool{}
	for range 3 {
		begun := time.Now()
		health, err := healthpb.NewHealthClient(r.conn).Watch(t.Context(), &healthpb.HealthCheckRequest{})
		if err != nil {
			t.Fatal(err)
		}
		err = r.call(t.Context(), watch, wrapperspb.String("x"))
		if took := time.Since(begun); status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "reached its age") || took > 20*age {
			t.Errorf("the stream ended after %v with %v", took, err)
		}
		for err = nil; err == nil; {
			_, err = health.Recv()
		}
		if status.Code(err) != codes.Unavailable {
			t.Errorf("a watch of health ended with %v", err)
		}
		from := <-watched
		if seen[from] {
			t.Error("the stream came back over a connection that had reached its age")
		}
		seen[from] = true
		if _, err := r.callEcho(t.Context(), "x"); err != nil {
			t.Errorf("a call after that: %v", err)
		}
	}
	for _, call := range r.loggedCalls(t) {
		if call["level"] == "WARN" {
			t.Errorf("what is intended was logged as %v", call)
		}
	}
}

// grpc-go waits for the message before any interceptor runs, without a bound of its own.
func TestUnaryCallIsAbortedWhenItsMessageDoesNotArrive(t *testing.T) {
	t.Parallel()
	r := startServer(t, echoService{say: func(context.Context, string) (string, error) { return "answered", nil }}, nil, nil,
		func(cfg *grpcserver.Config, _ *grpcserver.Telemetry) {
			cfg.ReadTimeout, cfg.RequestTimeout = 10*time.Millisecond, 10*time.Millisecond
		})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	stream, err := r.conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true}, say)
	if err != nil {
		t.Fatal(err)
	}
	err = stream.RecvMsg(&wrapperspb.StringValue{})
	if status.Code(err) != codes.DeadlineExceeded || ctx.Err() != nil {
		t.Errorf("the call ended with %v", err)
	}
}
