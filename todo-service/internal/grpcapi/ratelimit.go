package grpcapi

import (
	"context"
	"net/netip"
	"strings"

	"google.golang.org/grpc"

	"example.com/todo/platform/apperr"
	"example.com/todo/todo-service/internal/ratelimit"
)

// Limiter counts a request of a client and says whether it may pass. It always
// answers: when it cannot count it lets the request pass.
type Limiter interface {
	Allow(ctx context.Context, client netip.Addr) ratelimit.Decision
}

// ClientIPs tells which client a call came from.
type ClientIPs interface {
	FromGRPC(ctx context.Context) netip.Addr
}

// Streams limits how many streams there are, and how many of them one client has.
// Acquire counts one until release is called, or refuses it (fault.Exhausted).
type Streams interface {
	Acquire(client netip.Addr) (release func(), err error)
}

// RateLimit holds the interceptors that spend a client's budget: one for each unary
// call, one for each stream however long it lasts. Health and reflection are
// free. A call beyond the budget is refused (fault.Exhausted), and so is a stream,
// of health and reflection too, when there are too many.
type RateLimit struct {
	limiter   Limiter
	clientIPs ClientIPs
	streams   Streams
}

// NewRateLimit returns the interceptors.
func NewRateLimit(limiter Limiter, peers ClientIPs, streams Streams) RateLimit {
	return RateLimit{limiter: limiter, clientIPs: peers, streams: streams}
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

func (l RateLimit) allow(ctx context.Context, method string) error {
	if strings.HasPrefix(method, "/grpc.") { // health and reflection
		return nil
	}
	budget := l.limiter.Allow(ctx, l.clientIPs.FromGRPC(ctx))
	if budget.Allowed {
		return nil
	}
	refusal := apperr.New(apperr.RateLimited, "too many requests")
	refusal.RetryAfter = budget.RetryAfter
	return refusal
}
