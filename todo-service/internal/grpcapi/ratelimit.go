package grpcapi

import (
	"context"
	"strings"

	middleware "github.com/grpc-ecosystem/go-grpc-middleware/v2"
	"google.golang.org/grpc"

	"example.com/todo/platform/session"
	"example.com/todo/todo-service/internal/ratelimit"
)

// Interceptors returns the interceptors that authenticate calls and limit clients. Each
// unary call and each stream counts as one request, except health and reflection. Streams,
// those of health and reflection too, are also limited in number. At a limit the error is
// apperr.RateLimited.
func (s *Server) Interceptors() []grpc.ServerOption {
	return []grpc.ServerOption{grpc.ChainUnaryInterceptor(s.admitUnary), grpc.ChainStreamInterceptor(s.admitStream)}
}

func (s *Server) admitUnary(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	ctx, err := s.admit(ctx, info.FullMethod)
	if err != nil {
		return nil, err
	}
	return next(ctx, req)
}

func (s *Server) admitStream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	ctx, err := s.admit(stream.Context(), info.FullMethod)
	if err != nil {
		return err
	}
	release, err := s.cfg.AcquireStream(s.client(ctx))
	if err != nil {
		return err
	}
	defer release()
	if s.cfg.SignIn == nil {
		return next(srv, stream)
	}
	return s.cfg.SignIn.endWithSession(ctx, func(ctx context.Context) error {
		return next(srv, &middleware.WrappedServerStream{ServerStream: stream, WrappedContext: ctx})
	})
}

// admit authenticates the call and counts it against the rate limit. The result has the
// call's session.
func (s *Server) admit(ctx context.Context, method string) (context.Context, error) {
	if s.cfg.SignIn != nil {
		return s.cfg.SignIn.admit(ctx, method, s.cfg.ClientIP(ctx))
	}
	if isUncounted(method) {
		return ctx, nil
	}
	return ctx, s.cfg.Allow(ctx, s.cfg.ClientIP(ctx)).Err()
}

// isUncounted reports whether calls of the method do not count: health and reflection.
func isUncounted(method string) bool { return strings.HasPrefix(method, "/grpc.") }

// client returns what the limits of a call's client count.
func (s *Server) client(ctx context.Context) ratelimit.Client {
	return ratelimit.NewClient(session.UserFrom(ctx).ID, s.cfg.ClientIP(ctx))
}
