package grpcapi

import (
	"context"
	"strings"

	"google.golang.org/grpc"
)

// RateLimit returns the interceptors that limit clients. Each unary call and each stream
// counts as one request, except health and reflection. Streams, those of health and
// reflection too, are also limited in number. At a limit the error is apperr.RateLimited.
func (s *Server) RateLimit() []grpc.ServerOption {
	return []grpc.ServerOption{grpc.ChainUnaryInterceptor(s.limitUnary), grpc.ChainStreamInterceptor(s.limitStream)}
}

func (s *Server) limitUnary(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	if err := s.countCall(ctx, info.FullMethod); err != nil {
		return nil, err
	}
	return next(ctx, req)
}

func (s *Server) limitStream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	if err := s.countCall(stream.Context(), info.FullMethod); err != nil {
		return err
	}
	release, err := s.cfg.AcquireStream(s.cfg.ClientIP(stream.Context()))
	if err != nil {
		return err
	}
	defer release()
	return next(srv, stream)
}

// countCall counts the call against its client's rate limit.
func (s *Server) countCall(ctx context.Context, method string) error {
	if strings.HasPrefix(method, "/grpc.") { // health and reflection
		return nil
	}
	return s.cfg.Allow(ctx, s.cfg.ClientIP(ctx)).Err()
}
