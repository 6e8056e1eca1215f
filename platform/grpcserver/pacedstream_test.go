package grpcserver_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"example.com/todo/platform/grpcserver"
)

// sendResult is the end of a stream on the server.
type sendResult struct {
	messages int
	err      error
}

// sendEndlessly sends text until the stream ends. stall is the stall timeout.
func sendEndlessly(stall time.Duration, text string, ended chan<- sendResult) echoService {
	return echoService{watch: func(_ string, stream grpc.ServerStream) error {
		sender := grpcserver.NewPacedStream(stream, stall)
		message, err := grpcserver.Encode(wrapperspb.String(text))
		if err != nil {
			return err
		}
		for n := 0; ; n++ {
			if err := sender.Send(message); err != nil {
				ended <- sendResult{n, err}
				return err
			}
		}
	}}
}

func TestPacedStreamFailsWithUnavailableWhenTheClientDoesNotRead(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		text    string
		options []grpc.CallOption
	}{
		"short messages":      {"x", nil},
		"long messages":       {strings.Repeat("x", 5000), nil},
		"compression desired": {"x", []grpc.CallOption{grpc.UseCompressor(gzip.Name)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ended := make(chan sendResult, 1)
			r := startServer(t, sendEndlessly(50*time.Millisecond, test.text, ended), nil, nil)
			// With an explicit window grpc-go does not increase it.
			const window = 64 << 10
			conn, err := grpc.NewClient(r.Addr(), append(insecurely, grpc.WithInitialWindowSize(window))...)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			stream, err := conn.NewStream(t.Context(), &grpc.StreamDesc{ServerStreams: true}, watch, test.options...)
			if err != nil {
				t.Fatal(err)
			}
			if err := stream.SendMsg(wrapperspb.String("")); err != nil {
				t.Fatal(err)
			}
			got := <-ended
			const header = 5
			frame := proto.Size(wrapperspb.String(test.text)) + header
			if limit := window/frame + 1 + 16; status.Code(grpcserver.Status(got.err)) != codes.Unavailable || got.messages > limit {
				t.Errorf("%d messages, want at limit %d; it ended with %v", got.messages, limit, got.err)
			}

			received := 0
			var message wrapperspb.StringValue
			for err = stream.RecvMsg(&message); err == nil; err = stream.RecvMsg(&message) {
				if received++; message.Value != test.text {
					t.Fatalf("message %d is %q", received, message.Value)
				}
			}
			if received != got.messages || status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "resume") {
				t.Errorf("of %d messages %d arrived, then %v", got.messages, received, err)
			}
		})
	}
}

func TestPacedStreamWaitsForASlowClient(t *testing.T) {
	t.Parallel()
	ended := make(chan sendResult, 1)
	r := startServer(t, sendEndlessly(500*time.Millisecond, strings.Repeat("x", 16<<10), ended), nil, nil)
	ctx, leave := context.WithCancel(t.Context())
	stream, err := r.openStream(ctx, wrapperspb.String(""))
	if err != nil {
		t.Fatal(err)
	}
	slowly := time.NewTicker(20 * time.Millisecond)
	defer slowly.Stop()
	for start := time.Now(); time.Since(start) < 2*time.Second; <-slowly.C {
		if err := stream.RecvMsg(&wrapperspb.StringValue{}); err != nil {
			t.Fatal(err)
		}
	}
	leave()
	if got := <-ended; status.Code(got.err) != codes.Canceled && !errors.Is(got.err, context.Canceled) {
		t.Errorf("it ended with %v", got.err)
	}
}

func TestServerStopsWithoutWaitingForAClientThatDoesNotRead(t *testing.T) {
	t.Parallel()
	ended := make(chan sendResult, 1)
	r := startServer(t, sendEndlessly(time.Hour, "x", ended), nil, nil)
	if _, err := r.openStream(t.Context(), wrapperspb.String("")); err != nil {
		t.Fatal(err)
	}
	full := time.NewTimer(300 * time.Millisecond)
	defer full.Stop()
	select {
	case got := <-ended:
		t.Fatalf("it ended with %v", got.err)
	case <-full.C:
	}
	r.stop()
	<-ended
	r.conn.Close()
	<-r.ended
}

func TestEncodeFailsForAnInvalidMessage(t *testing.T) {
	t.Parallel()
	if _, err := grpcserver.Encode(wrapperspb.String("\xff")); err == nil {
		t.Error("a text that is not UTF-8 was encoded")
	}
}
