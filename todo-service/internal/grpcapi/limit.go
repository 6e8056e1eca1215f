package grpcapi

import (
	"context"
	"net/netip"
	"strings"

	"google.golang.org/grpc"

	"example.com/todo/platform/fault"
	"example.com/todo/todo-service/internal/edge"
)

// Limiter counts a request of a client and says whether it may pass. It always
// answers: when it cannot count it lets the request pass.
type Limiter interface {
	Allow(ctx context.Context, client netip.Addr) edge.Budget
}

// Peers tells which client a call came from.
type Peers interface {
	FromGRPC(ctx context.Context) netip.Addr
}

// Limit holds the interceptors that spend a client's budget: one for each unary
// call, one for each stream however long it lasts. Health and reflection are
// free. A call beyond the budget is refused (fault.Exhausted).
type Limit struct {
	limiter Limiter
	peers   Peers
}

// NewLimit returns the interceptors.
func NewLimit(limiter Limiter, peers Peers) Limit {
	return Limit{limiter: limiter, peers: peers}
}

// Unary is a grpc.UnaryServerInterceptor.
func (l Limit) Unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	if err := l.spend(ctx, info.FullMethod); err != nil {
		return nil, err
	}
	return next(ctx, req)
}

// Stream is a grpc.StreamServerInterceptor.
func (l Limit) Stream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	if err := l.spend(stream.Context(), info.FullMethod); err != nil {
		return err
	}
	return next(srv, stream)
}

func (l Limit) spend(ctx context.Context, method string) error {
	if strings.HasPrefix(method, "/grpc.") { // health and reflection
		return nil
	}
	budget := l.limiter.Allow(ctx, l.peers.FromGRPC(ctx))
	if budget.Allowed {
		return nil
	}
	refusal := fault.New(fault.Exhausted, "too many requests")
	refusal.RetryAfter = budget.RetryAfter
	return refusal
}
