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

// A client that resumes its stream on the old connection would be disconnected again.
func TestStreamsEndAtTheMaxAgeOfTheirConnectionAndContinueOnANewOne(t *testing.T) {
	t.Parallel()
	const age = 500 * time.Millisecond
	streamedFrom := make(chan string, 100) // the client addresses of the streams
	r := startServer(t, echoService{
		say: func(context.Context, string) (string, error) { return "answered", nil },
		watch: func(_ string, stream grpc.ServerStream) error {
			from, _ := grpcpeer.FromContext(stream.Context())
			streamedFrom <- from.Addr.String()
			<-stream.Context().Done()
			return stream.Context().Err()
		},
	}, nil, nil, func(cfg *grpcserver.Config, _ *grpcserver.Telemetry) { cfg.MaxConnAge = age })
	seen := map[string]bool{}
	for range 3 {
		start := time.Now()
		health, err := healthpb.NewHealthClient(r.conn).Watch(t.Context(), &healthpb.HealthCheckRequest{})
		if err != nil {
			t.Fatal(err)
		}
		err = r.call(t.Context(), watch, wrapperspb.String("x"))
		if took := time.Since(start); status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "reached its maximal age") || took > 20*age {
			t.Errorf("the stream ended after %v with %v", took, err)
		}
		for err = nil; err == nil; {
			_, err = health.Recv()
		}
		if status.Code(err) != codes.Unavailable {
			t.Errorf("a watch of health ended with %v", err)
		}
		from := <-streamedFrom
		if seen[from] {
			t.Error("the stream was resumed on a connection that had reached its maximal age")
		}
		seen[from] = true
		if _, err := r.callEcho(t.Context(), "x"); err != nil {
			t.Errorf("a call after that: %v", err)
		}
	}
	for _, call := range r.loggedCalls(t) {
		if call["level"] == "WARN" {
			t.Errorf("logged %v, want INFO", call)
		}
	}
}

// grpc-go has no timeout for the message, which it awaits before it runs an interceptor.
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
