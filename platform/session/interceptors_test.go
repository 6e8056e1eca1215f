package session

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"example.com/todo/platform/apperr"
)

// openStream is a stream of a client that sends nothing.
type openStream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s openStream) Context() context.Context { return s.ctx }

func (s openStream) RecvMsg(any) error {
	<-s.ctx.Done()
	return s.ctx.Err()
}

func TestStreamReturnsWhyItsSessionEndedWhateverTheMethodReturns(t *testing.T) {
	errMethod := errors.New("of the method")
	methods := map[string]grpc.StreamHandler{
		"nil": func(_ any, stream grpc.ServerStream) error {
			<-stream.Context().Done()
			return nil
		},
		"its own error": func(_ any, stream grpc.ServerStream) error {
			<-stream.Context().Done()
			return errMethod
		},
		"the error of receiving": func(_ any, stream grpc.ServerStream) error { return stream.RecvMsg(nil) },
	}
	for name, method := range methods {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, table := runWatcher(t)
				auth := &Authenticator{Watcher: w, Check: func(context.Context, string) (Session, error) {
					return Session{User: User{ID: 7}, key: "a"}, nil
				}}
				serve := func(ctx context.Context) <-chan error {
					ctx = metadata.NewIncomingContext(ctx, metadata.Pairs("authorization", "Bearer "+strings.Repeat("A", tokenLength)))
					ended := make(chan error, 1)
					go func() {
						ended <- auth.Stream(nil, openStream{ctx: ctx}, &grpc.StreamServerInfo{FullMethod: "/things.Things/Watch", IsClientStream: true}, method)
					}()
					return ended
				}

				ctx, disconnect := context.WithCancelCause(t.Context())
				ended := serve(ctx)
				<-time.After(time.Second)
				disconnected := apperr.New(apperr.Gone, "of the connection")
				disconnect(disconnected)
				want := map[string]error{"nil": nil, "its own error": errMethod, "the error of receiving": disconnected}[name]
				if err := <-ended; !errors.Is(err, want) {
					t.Errorf("after the end of its connection: got %v, want %v", err, want)
				}

				ctx, disconnect = context.WithCancelCause(t.Context())
				defer disconnect(nil)
				ended = serve(ctx)
				<-time.After(time.Second)
				table.set(func() { table.ended["a"] = true })
				if err := <-ended; apperr.Of(err).Kind != apperr.Unauthenticated {
					t.Errorf("after the end of its session: %v", err)
				}
				disconnect(nil)
			})
		})
	}
}
