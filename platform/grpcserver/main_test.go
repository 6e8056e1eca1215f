package grpcserver_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"example.com/todo/platform/grpcserver"
	"example.com/todo/platform/logging"
	"example.com/todo/platform/process/processtest"
	"example.com/todo/platform/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// echoService has a unary method and a stream that return their message. Tests replace
// them by functions of their own.
type echoService struct {
	say   func(ctx context.Context, text string) (string, error)
	watch func(text string, stream grpc.ServerStream) error
}

const (
	say   = "/test.Echo/Say"
	watch = "/test.Echo/Watch"
)

func (e echoService) register(r grpc.ServiceRegistrar) {
	r.RegisterService(&grpc.ServiceDesc{
		ServiceName: "test.Echo",
		HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{MethodName: "Say", Handler: func(srv any, ctx context.Context, dec func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) {
			in := &wrapperspb.StringValue{}
			if err := dec(in); err != nil {
				return nil, err
			}
			return interceptor(ctx, in, &grpc.UnaryServerInfo{Server: srv, FullMethod: say}, func(ctx context.Context, req any) (any, error) {
				text, err := e.say(ctx, req.(*wrapperspb.StringValue).Value)
				return wrapperspb.String(text), err
			})
		}}},
		Streams: []grpc.StreamDesc{{StreamName: "Watch", ServerStreams: true, Handler: func(_ any, stream grpc.ServerStream) error {
			in := &wrapperspb.StringValue{}
			if err := stream.RecvMsg(in); err != nil {
				return err
			}
			return e.watch(in.Value, stream)
		}}},
	}, e)
}

// testServer is a running server with a client connection and its log.
type testServer struct {
	*grpcserver.Server
	conn  *grpc.ClientConn
	reg   *prometheus.Registry
	stop  context.CancelFunc
	ended chan error
	log   processtest.Log
}

var insecurely = []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}

type serverOption func(*grpcserver.Config, *grpcserver.Telemetry)

func startServer(t *testing.T, e echoService, unary []grpc.UnaryServerInterceptor, stream []grpc.StreamServerInterceptor, options ...serverOption) *testServer {
	t.Helper()
	r := &testServer{reg: prometheus.NewRegistry(), ended: make(chan error, 1)}
	cfg := grpcserver.Defaults("127.0.0.1:0")
	telemetry := grpcserver.Telemetry{
		Log: logging.New(&r.log, logging.Config{Level: slog.LevelDebug}, "test"), Registry: r.reg, Tracer: trace.TracerProvider(noop.NewTracerProvider()),
	}
	for _, option := range options {
		option(&cfg, &telemetry)
	}
	var err error
	if r.Server, err = grpcserver.Listen(cfg, unlimited, telemetry, e.register, grpc.ChainUnaryInterceptor(unary...), grpc.ChainStreamInterceptor(stream...)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r.stop = cancel
	go func() { r.ended <- r.Run(ctx) }()
	if r.conn, err = grpc.NewClient(r.Addr(), insecurely...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.conn.Close()
		cancel()
	})
	return r
}

func unlimited(l net.Listener) net.Listener { return l }

// loggedCalls returns the log lines about calls.
func (r *testServer) loggedCalls(t *testing.T) []map[string]any {
	t.Helper()
	var found []map[string]any
	for text := range strings.Lines(r.log.String()) {
		var line map[string]any
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatal(err)
		}
		if line["msg"] == "gRPC call" {
			found = append(found, line)
		}
	}
	return found
}

func (r *testServer) callEcho(ctx context.Context, text string, options ...grpc.CallOption) (string, error) {
	out := &wrapperspb.StringValue{}
	err := r.conn.Invoke(ctx, say, wrapperspb.String(text), out, options...)
	return out.Value, err
}

func (r *testServer) openStream(ctx context.Context, in any) (grpc.ClientStream, error) {
	stream, err := r.conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, watch)
	if err != nil {
		return nil, err
	}
	if err := stream.SendMsg(in); err != nil {
		return nil, err
	}
	return stream, stream.CloseSend()
}

// call calls the unary method or the stream and waits for its end.
func (r *testServer) call(ctx context.Context, method string, in any) error {
	if method == say {
		return r.conn.Invoke(ctx, say, in, &wrapperspb.StringValue{})
	}
	stream, err := r.openStream(ctx, in)
	if err != nil {
		return err
	}
	return stream.RecvMsg(&wrapperspb.StringValue{})
}
