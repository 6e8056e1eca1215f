package session

import (
	"context"
	"errors"
	"strings"

	middleware "github.com/grpc-ecosystem/go-grpc-middleware/v2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// openService is the prefix of the methods without a session: probes have none.
const openService = "/grpc.health.v1.Health/"

// CallToken returns the well-formed token of a gRPC call, or apperr.Unauthenticated. It
// ignores cookies.
func (a *Authenticator) CallToken(ctx context.Context) (string, error) {
	return parseBearer(metadata.ValueFromIncomingContext(ctx, "authorization"))
}

// Unary authenticates unary calls, except those of the health service. The method has the
// session in its context.
func (a *Authenticator) Unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	if strings.HasPrefix(info.FullMethod, openService) {
		return next(ctx, req)
	}
	ctx, err := a.authenticateCall(ctx)
	if err != nil {
		return nil, err
	}
	return next(ctx, req)
}

// Stream is Unary for streams. The stream ends with its session: see Watcher.
func (a *Authenticator) Stream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	if strings.HasPrefix(info.FullMethod, openService) {
		return next(srv, stream)
	}
	ctx, err := a.authenticateCall(stream.Context())
	if err != nil {
		return err
	}
	ctx, stop := a.Watcher.Watch(ctx)
	defer stop()
	watched := &middleware.WrappedServerStream{ServerStream: stream, WrappedContext: ctx}
	if info.IsClientStream {
		err = next(srv, clientStream{watched})
	} else {
		err = next(srv, watched)
	}
	// An end of the stream's own context has the same cause in both.
	if reason := context.Cause(ctx); reason != nil && !errors.Is(context.Cause(stream.Context()), reason) {
		return reason
	}
	return err
}

// clientStream is a stream of several messages of the client.
type clientStream struct {
	*middleware.WrappedServerStream
}

// RecvMsg also ends with the context of the session. grpc-go's waits for the client.
func (s clientStream) RecvMsg(message any) error {
	received := make(chan error, 1)
	go func() { received <- s.ServerStream.RecvMsg(message) }() // ends with the method
	select {
	case err := <-received:
		return err
	case <-s.WrappedContext.Done():
		return context.Cause(s.WrappedContext)
	}
}

func (a *Authenticator) authenticateCall(ctx context.Context) (context.Context, error) {
	token, err := a.CallToken(ctx)
	if err != nil {
		return nil, err
	}
	checked, err := a.Check(ctx, token)
	if err != nil {
		return nil, err
	}
	return WithSession(ctx, checked), nil
}
