package grpcapi

import (
	"context"
	"strings"

	"google.golang.org/grpc"

	"example.com/todo/platform/session"
	"example.com/todo/todo-service/internal/ratelimit"
)

// Interceptors returns the interceptors that authenticate calls and limit clients. Each
// unary call and each stream counts as one request, except health and reflection. Streams,
// those of health and reflection too, are also limited in number. At a limit the error is
// apperr.RateLimited.
func (s *Server) Interceptors() []grpc.ServerOption {
	unary, stream := s.countUnary, s.countStream
	if s.cfg.SignIn != nil {
		authenticator := s.newAuthenticator()
		unary, stream = authenticator.unary, authenticator.stream
	}
	return []grpc.ServerOption{grpc.ChainUnaryInterceptor(unary), grpc.ChainStreamInterceptor(stream, s.limitStreams)}
}

func (s *Server) countUnary(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	if err := s.countCall(ctx, info.FullMethod); err != nil {
		return nil, err
	}
	return next(ctx, req)
}

func (s *Server) countStream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	if err := s.countCall(stream.Context(), info.FullMethod); err != nil {
		return err
	}
	return next(srv, stream)
}

// countCall counts the call against the rate limit of its client's address.
func (s *Server) countCall(ctx context.Context, method string) error {
	if isUncounted(method) {
		return nil
	}
	return s.cfg.Allow(ctx, s.cfg.ClientIP(ctx)).Err()
}

// isUncounted reports whether calls of the method do not count: health and reflection.
func isUncounted(method string) bool { return strings.HasPrefix(method, "/grpc.") }

// limitStreams limits the number of streams.
func (s *Server) limitStreams(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	ctx := stream.Context()
	release, err := s.cfg.AcquireStream(ratelimit.NewClient(session.UserFrom(ctx).ID, s.cfg.ClientIP(ctx)))
	if err != nil {
		return err
	}
	defer release()
	return next(srv, stream)
}
