package grpcserver_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"example.com/todo/platform/apperr"
	"example.com/todo/platform/config"
	"example.com/todo/platform/grpcserver"
	"example.com/todo/platform/logging"
)

// failingService returns a service whose two methods fail with the same error.
func failingService(err func(context.Context) error) echoService {
	return echoService{
		say:   func(ctx context.Context, _ string) (string, error) { return "", err(ctx) },
		watch: func(_ string, stream grpc.ServerStream) error { return err(stream.Context()) },
	}
}

func TestUnaryCallsAndStreamsReturnTheSameStatus(t *testing.T) {
	t.Parallel()
	deep := apperr.New(apperr.Unavailable, "try again").WithCause(errors.New("dial 10.0.0.7"))
	r := startServer(t, failingService(func(ctx context.Context) error {
		switch logging.RequestID(ctx) {
		case "panic":
			panic("secret internals")
		case "internal":
			return errors.New("secret internals")
		case "not-found":
			return fmt.Errorf("secret internals: %w", apperr.New(apperr.NotFound, "no such thing"))
		case "unavailable":
			return deep
		case "status":
			return fmt.Errorf("secret internals: %w", status.Error(codes.FailedPrecondition, "not now"))
		}
		return errors.New("the request id did not arrive")
	}), nil, nil)
	tests := map[string]struct {
		code    codes.Code
		message string
		logged  string
		level   string
	}{
		"panic":       {codes.Internal, "something went wrong on our side", "server_test.go", "ERROR"},
		"internal":    {codes.Internal, "something went wrong on our side", "secret internals", "ERROR"},
		"not-found":   {codes.NotFound, "no such thing", "secret internals: no such thing", "INFO"},
		"unavailable": {codes.Unavailable, "try again", "dial 10.0.0.7", "WARN"},
		"status":      {codes.FailedPrecondition, "not now", "secret internals", "INFO"},
	}
	for name, test := range tests {
		for _, method := range []string{say, watch} {
			ctx := metadata.AppendToOutgoingContext(t.Context(), "x-request-id", name)
			err := r.call(ctx, method, wrapperspb.String("x"))
			if status.Code(err) != test.code || status.Convert(err).Message() != test.message {
				t.Errorf("%s of %s: got %v", name, method, err)
			}
			calls := r.loggedCalls(t)
			last := calls[len(calls)-1]
			if last["method"] != method || last["code"] != test.code.String() || last["request_id"] != name || last["level"] != test.level ||
				!strings.Contains(last["error"].(string), test.logged) || last["duration_us"] == nil {
				t.Errorf("%s of %s: logged %v", name, method, last)
			}
		}
	}
	want := `
		# HELP grpc_server_handled_total Total number of RPCs completed on the server, regardless of success or failure.
		# TYPE grpc_server_handled_total counter
		grpc_server_handled_total{grpc_code="Internal",grpc_method="Say",grpc_service="test.Echo",grpc_type="unary"} 2
		grpc_server_handled_total{grpc_code="Internal",grpc_method="Watch",grpc_service="test.Echo",grpc_type="server_stream"} 2
	`
	if err := testutil.GatherAndCompare(internalErrorsOnly{r.reg}, strings.NewReader(want), "grpc_server_handled_total"); err != nil {
		t.Error(err)
	}
}

func TestRequestIDIsAcceptedWhenSafeAndEchoed(t *testing.T) {
	t.Parallel()
	r := startServer(t, echoService{say: func(ctx context.Context, _ string) (string, error) { return logging.RequestID(ctx), nil }}, nil, nil)
	for sent, kept := range map[string]bool{"abc-1": true, "a b": false, "": false} {
		ctx := t.Context()
		if sent != "" {
			ctx = metadata.AppendToOutgoingContext(ctx, "x-request-id", sent)
		}
		var header metadata.MD
		inside, err := r.callEcho(ctx, "x", grpc.Header(&header))
		echoed := header.Get("x-request-id")
		if err != nil || len(echoed) != 1 || echoed[0] == "" || echoed[0] != inside || (inside == sent) != kept {
			t.Errorf("sent %q, echoed %q, inside %q: %v", sent, echoed, inside, err)
		}
	}
}

func TestErrorsOfInterceptorsAreTranslatedToStatus(t *testing.T) {
	t.Parallel()
	limited := apperr.New(apperr.RateLimited, "too many requests")
	r := startServer(t, echoService{},
		[]grpc.UnaryServerInterceptor{func(context.Context, any, *grpc.UnaryServerInfo, grpc.UnaryHandler) (any, error) { return nil, limited }},
		[]grpc.StreamServerInterceptor{func(any, grpc.ServerStream, *grpc.StreamServerInfo, grpc.StreamHandler) error { return limited }})
	for _, method := range []string{say, watch} {
		if err := r.call(t.Context(), method, wrapperspb.String("x")); status.Code(err) != codes.ResourceExhausted || len(status.Convert(err).Details()) != 1 {
			t.Errorf("%s: got %v", method, err)
		}
	}
}

func TestUndecodableMessageIsAnsweredInvalidArgument(t *testing.T) {
	t.Parallel()
	r := startServer(t, failingService(func(context.Context) error { return errors.New("reached the method") }), nil, nil)
	for _, method := range []string{say, watch} {
		err := r.call(t.Context(), method, wrapperspb.Bytes([]byte("\xff"))) // encoded like a string
		details := status.Convert(err).Details()
		if status.Code(err) != codes.InvalidArgument || len(details) != 1 {
			t.Fatalf("%s: got %v, details %v", method, err, details)
		}
		if got := fmt.Sprint(details[0]); !strings.Contains(got, `field:"message"`) || !strings.Contains(got, "valid UTF-8") {
			t.Errorf("%s: got %s", method, got)
		}
		err = r.call(t.Context(), method, wrapperspb.Int64(1)) // another type under the same field number is an unknown field
		if status.Code(err) != codes.Internal {
			t.Errorf("%s: got %v", method, err)
		}
	}
	if calls := r.loggedCalls(t); len(calls) != 4 || calls[0]["code"] != "InvalidArgument" {
		t.Errorf("logged %v", calls)
	}
}

func TestServerRejectsMessagesThatAreTooLarge(t *testing.T) {
	t.Parallel()
	r := startServer(t, echoService{say: func(context.Context, string) (string, error) { return "", nil }}, nil, nil)
	for size, want := range map[int]codes.Code{256<<10 - 10: codes.OK, 256<<10 + 1: codes.ResourceExhausted} {
		if _, err := r.callEcho(t.Context(), strings.Repeat("x", size)); status.Code(err) != want {
			t.Errorf("%d bytes: got %v, want %v", size, err, want)
		}
	}
}

func TestUnaryCallsHaveADeadlineAndStreamsDoNot(t *testing.T) {
	t.Parallel()
	short := func(cfg *grpcserver.Config, _ *grpcserver.Telemetry) { cfg.RequestTimeout = time.Millisecond }
	r := startServer(t, echoService{
		say: func(ctx context.Context, _ string) (string, error) { <-ctx.Done(); return "", ctx.Err() },
		watch: func(_ string, stream grpc.ServerStream) error {
			if _, ok := stream.Context().Deadline(); ok {
				return errors.New("a deadline")
			}
			return stream.SendMsg(wrapperspb.String("x"))
		},
	}, nil, nil, short)
	if _, err := r.callEcho(t.Context(), "x"); status.Code(err) != codes.Unavailable {
		t.Errorf("got %v", err)
	}
	if err := r.call(t.Context(), watch, wrapperspb.String("x")); err != nil {
		t.Error(err)
	}
}

func TestCallIsCanceledAndNotFailedWhenItsClientDisconnected(t *testing.T) {
	t.Parallel()
	entered, returned := make(chan struct{}), make(chan struct{})
	r := startServer(t, failingService(func(ctx context.Context) error {
		entered <- struct{}{}
		<-ctx.Done()
		returned <- struct{}{}
		return ctx.Err()
	}), nil, nil)
	for _, method := range []string{say, watch} {
		ctx, cancel := context.WithCancel(t.Context())
		go r.call(ctx, method, wrapperspb.String("x"))
		<-entered
		cancel()
		<-returned
	}
	r.stop()
	if err := <-r.ended; err != nil {
		t.Error(err)
	}
	var got []string
	for _, call := range r.loggedCalls(t) {
		got = append(got, fmt.Sprint(call["code"], " ", call["level"]))
	}
	if diff := cmp.Diff([]string{"Canceled INFO", "Canceled INFO"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestServerEndsStreamsAndFinishesCallsWhenStopped(t *testing.T) {
	t.Parallel()
	entered, release := make(chan struct{}, 2), make(chan struct{})
	r := startServer(t, echoService{
		say: func(context.Context, string) (string, error) {
			entered <- struct{}{}
			<-release
			return "finished", nil
		},
		watch: func(_ string, stream grpc.ServerStream) error {
			entered <- struct{}{}
			<-stream.Context().Done()
			return stream.Context().Err()
		},
	}, nil, nil)
	called, watched := make(chan error, 1), make(chan error, 1)
	go func() {
		text, err := r.callEcho(t.Context(), "x")
		if text != "finished" {
			err = errors.Join(err, fmt.Errorf("got %q", text))
		}
		called <- err
	}()
	go func() { watched <- r.call(t.Context(), watch, wrapperspb.String("x")) }()
	health, err := healthpb.NewHealthClient(r.conn).Watch(t.Context(), &healthpb.HealthCheckRequest{Service: "test.Echo"})
	if err != nil {
		t.Fatal(err)
	}
	if now, err := health.Recv(); err != nil || now.Status != healthpb.HealthCheckResponse_SERVING {
		t.Errorf("health before the stop: %v, %v", now, err)
	}
	<-entered
	<-entered
	r.stop()
	if now, err := health.Recv(); err == nil && now.Status != healthpb.HealthCheckResponse_NOT_SERVING {
		t.Errorf("health after the stop: %v", now)
	}
	if err := <-watched; status.Code(err) != codes.Unavailable {
		t.Errorf("the stream ended with %v", err)
	}
	close(release)
	if err := <-called; err != nil {
		t.Errorf("the call in flight: %v", err)
	}
	if err := <-r.ended; err != nil {
		t.Error(err)
	}
}

func TestHealthReportsTheServingStatus(t *testing.T) {
	t.Parallel()
	r := startServer(t, echoService{}, nil, nil)
	for _, serving := range []bool{true, false, true} {
		r.SetServing(serving)
		want := healthpb.HealthCheckResponse_NOT_SERVING
		if serving {
			want = healthpb.HealthCheckResponse_SERVING
		}
		for _, service := range []string{"", "test.Echo"} {
			got, err := healthpb.NewHealthClient(r.conn).Check(t.Context(), &healthpb.HealthCheckRequest{Service: service})
			if err != nil || got.Status != want {
				t.Errorf("service %q: %v, %v, want %v", service, got, err, want)
			}
		}
	}
}

func TestServerAbortsCallsAfterTheDrainTimeout(t *testing.T) {
	t.Parallel()
	entered := make(chan struct{})
	r := startServer(t, echoService{say: func(ctx context.Context, _ string) (string, error) {
		close(entered)
		<-ctx.Done()
		return "", ctx.Err()
	}}, nil, nil, func(cfg *grpcserver.Config, _ *grpcserver.Telemetry) {
		cfg.RequestTimeout, cfg.DrainTimeout = 0, time.Millisecond
	})
	called := make(chan error, 1)
	go func() {
		_, err := r.callEcho(t.Context(), "x")
		called <- err
	}()
	<-entered
	r.stop()
	if err := <-r.ended; err == nil || !strings.Contains(err.Error(), "cut off") {
		t.Errorf("got %v", err)
	}
	if err := <-called; err == nil {
		t.Error("the call was answered")
	}
}

func TestReflectionListsTheServices(t *testing.T) {
	t.Parallel()
	r := startServer(t, echoService{}, nil, nil)
	stream, err := reflectionpb.NewServerReflectionClient(r.conn).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{}}); err != nil {
		t.Fatal(err)
	}
	resp, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, service := range resp.GetListServicesResponse().GetService() {
		names = append(names, service.Name)
	}
	if !strings.Contains(strings.Join(names, " "), "test.Echo") {
		t.Errorf("got %v", names)
	}
	if err := stream.CloseSend(); err != nil {
		t.Error(err)
	}
	if _, err := stream.Recv(); err == nil {
		t.Error("the stream has not ended")
	}
}

func TestSpanContinuesTheTraceOfTheClient(t *testing.T) {
	t.Parallel()
	spans := tracetest.NewSpanRecorder()
	r := startServer(t, echoService{say: func(context.Context, string) (string, error) { return "", nil }}, nil, nil,
		func(_ *grpcserver.Config, telemetry *grpcserver.Telemetry) {
			telemetry.Tracer = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
		})
	ctx := metadata.AppendToOutgoingContext(t.Context(), "traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	if _, err := r.callEcho(ctx, "x"); err != nil {
		t.Fatal(err)
	}
	if line := r.loggedCalls(t)[0]; line["trace_id"] != "0af7651916cd43dd8448eb211c80319c" {
		t.Errorf("logged %v", line)
	}
}

func TestConfigRejectsInvalidSettings(t *testing.T) {
	t.Parallel()
	cfg := struct {
		GRPC grpcserver.Config `config:"grpc"`
	}{grpcserver.Defaults(":50051")}
	if err := config.Load(&cfg, "", nil); err != nil {
		t.Error(err)
	}
	err := config.Load(&cfg, "", []string{"GRPC_ADDR=x", "GRPC_MAX_RECV_BYTES=0", "GRPC_DRAIN_TIMEOUT=-1s", "GRPC_MAX_CONNS=0", "GRPC_MAX_CONN_AGE=-1s", "GRPC_READ_TIMEOUT=-1s"})
	for _, key := range []string{"grpc.addr", "grpc.max_recv_bytes", "grpc.drain_timeout", "grpc.max_conns", "grpc.max_conn_age", "grpc.read_timeout"} {
		if err == nil || !strings.Contains(err.Error(), key+": ") {
			t.Errorf("want %s in %v", key, err)
		}
	}
}
