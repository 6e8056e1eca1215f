package grpcapi

import (
	"context"
	"net/netip"
	"strings"

	"google.golang.org/grpc"

	"example.com/todo/platform/apperr"
	"example.com/todo/todo-service/internal/ratelimit"
)

// Limiter is the rate limiter. Allow counts a request of a client and decides whether it
// may pass. It fails open: a request that it cannot count passes.
type Limiter interface {
	Allow(ctx context.Context, client netip.Addr) ratelimit.Decision
}

// ClientIPs resolves the IP address of a call's client.
type ClientIPs interface {
	FromGRPC(ctx context.Context) netip.Addr
}

// Streams limits concurrent streams, in total and for each client. Acquire counts a
// stream until release is called; at a limit the error is apperr.RateLimited.
type Streams interface {
	Acquire(client netip.Addr) (release func(), err error)
}

// RateLimit holds the rate limit interceptors. Each unary call and each stream counts as
// one request, except health and reflection. At the limit the error is
// apperr.RateLimited. Streams, those of health and reflection too, are also limited in
// number.
type RateLimit struct {
	limiter   Limiter
	clientIPs ClientIPs
	streams   Streams
}

// NewRateLimit returns interceptors over the limiters.
func NewRateLimit(limiter Limiter, clientIPs ClientIPs, streams Streams) RateLimit {
	return RateLimit{limiter: limiter, clientIPs: clientIPs, streams: streams}
}

// Unary is a grpc.UnaryServerInterceptor.
func (l RateLimit) Unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	if err := l.allow(ctx, info.FullMethod); err != nil {
		return nil, err
	}
	return next(ctx, req)
}

// Stream is a grpc.StreamServerInterceptor.
func (l RateLimit) Stream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	if err := l.allow(stream.Context(), info.FullMethod); err != nil {
		return err
	}
	release, err := l.streams.Acquire(l.clientIPs.FromGRPC(stream.Context()))
	if err != nil {
		return err
	}
	defer release()
	return next(srv, stream)
}

// allow counts the call against its client's rate limit.
func (l RateLimit) allow(ctx context.Context, method string) error {
	if strings.HasPrefix(method, "/grpc.") { // health and reflection
		return nil
	}
	decision := l.limiter.Allow(ctx, l.clientIPs.FromGRPC(ctx))
	if decision.Allowed {
		return nil
	}
	err := apperr.New(apperr.RateLimited, "too many requests")
	err.RetryAfter = decision.RetryAfter
	return err
}
