package grpcserver

import (
	"context"
	"math"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/tap"

	"example.com/todo/platform/apperr"
)

// agedConnGrace is the time after MaxConnAge for which the calls that are left on a
// connection may run before it is closed.
const agedConnGrace = 30 * time.Second

// errConnectionAged ends the streams of a connection that has reached its maximal age.
var errConnectionAged = apperr.New(apperr.Unavailable, "this connection has reached its maximal age; go on over a new one, with the token of the last event if the stream has tokens")

// keepalive returns the parameters for pings of silent clients and for the maximal age of
// connections:
//
//	MaxConnAge ×   0.72–0.88               0.9–1.0                      1.0–1.16, + 30 s
//	               GOAWAY: no new calls    streams end (agingHandler)   closed by force
func (c Config) keepalive() keepalive.ServerParameters {
	params := keepalive.ServerParameters{Time: c.KeepaliveTime, Timeout: c.KeepaliveTimeout}
	// grpc-go varies the age by a tenth in both directions and does not end streams. A stream
	// that ended before GOAWAY would continue on the same connection. With 0.8 of MaxConnAge
	// GOAWAY is sent before the first stream ends.
	if c.MaxConnAge > 0 {
		params.MaxConnectionAge = c.MaxConnAge * 8 / 10
		earliest := params.MaxConnectionAge * 9 / 10
		params.MaxConnectionAgeGrace = c.MaxConnAge - earliest + agedConnGrace
	}
	return params
}

// agingHandler is a stats.Handler that stores in the context of each connection the time at
// which its streams end.
type agingHandler struct {
	maxAge time.Duration // 0: streams do not end with an age
	stats.Handler
}

type streamsEndKey struct{}

// TagConn implements stats.Handler.
func (a agingHandler) TagConn(ctx context.Context, info *stats.ConnTagInfo) context.Context {
	ctx = a.Handler.TagConn(ctx, info)
	if a.maxAge == 0 {
		return ctx
	}
	// Connections accepted at the same time end at different times.
	return context.WithValue(ctx, streamsEndKey{}, time.Now().Add(a.maxAge-rand.N(a.maxAge/10+1)))
}

// timeLeftForStreams returns the time until the streams of a connection must end.
func timeLeftForStreams(ctx context.Context) time.Duration {
	if end, ok := ctx.Value(streamsEndKey{}).(time.Time); ok {
		return time.Until(end)
	}
	return math.MaxInt64
}

// limitReceiveTime is a tap.ServerInHandle that bounds the time until the message of a
// unary call has arrived. grpc-go waits for the message before it runs any interceptor.
func (s *Server) limitReceiveTime(ctx context.Context, info *tap.Info) (context.Context, error) {
	if !s.unary[info.FullMethodName] || s.cfg.ReadTimeout == 0 || s.cfg.RequestTimeout == 0 {
		return ctx, nil
	}
	// The deadline of the call, set by deadlineUnary, starts with its message and must fit.
	ctx, cancel := context.WithTimeout(ctx, s.cfg.ReadTimeout+s.cfg.RequestTimeout) //nolint:gosec // the parent of ctx ends with the call
	_ = cancel
	return ctx, nil
}
