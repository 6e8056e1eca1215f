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

// agedConnGrace is how long what is left of a connection may last after its age.
const agedConnGrace = 30 * time.Second

// errConnectionAged is what a stream ends with whose connection has reached its age.
var errConnectionAged = apperr.New(apperr.Unavailable, "this connection has reached its age; go on over a new one, with the token of the last event if the stream has tokens")

// keepalive returns when grpc-go asks a silent client for a sign of life, and when
// it lets go of a connection.
//
// grpc-go lets go at an age of its own choice, up to a tenth before or after the one
// it is given, and does not tell the streams. A stream that ended before then would
// come back over the same connection. So grpc-go is given eight tenths of MaxConnAge:
// it has let go before nine tenths of it, when the first streams end.
func (c Config) keepalive() keepalive.ServerParameters {
	params := keepalive.ServerParameters{Time: c.KeepaliveTime, Timeout: c.KeepaliveTimeout}
	if c.MaxConnAge > 0 {
		params.MaxConnectionAge = c.MaxConnAge * 8 / 10
		earliest := params.MaxConnectionAge * 9 / 10
		params.MaxConnectionAgeGrace = c.MaxConnAge - earliest + agedConnGrace
	}
	return params
}

// agingHandler is a stats.Handler that notes for each connection when its streams end.
type agingHandler struct {
	maxAge time.Duration // 0: they do not
	stats.Handler
}

type streamsEndKey struct{}

// TagConn spreads the ends of connections that began together over a tenth of their age.
func (a agingHandler) TagConn(ctx context.Context, info *stats.ConnTagInfo) context.Context {
	ctx = a.Handler.TagConn(ctx, info)
	if a.maxAge == 0 {
		return ctx
	}
	return context.WithValue(ctx, streamsEndKey{}, time.Now().Add(a.maxAge-rand.N(a.maxAge/10+1)))
}

// timeLeftForStreams returns how long the streams of a connection may still last.
func timeLeftForStreams(ctx context.Context) time.Duration {
	if end, ok := ctx.Value(streamsEndKey{}).(time.Time); ok {
		return time.Until(end)
	}
	return math.MaxInt64
}

// limitReceiveTime is a tap.ServerInHandle. It bounds the time until the message of a
// unary call is there, for which grpc-go waits before any interceptor runs.
func (s *Server) limitReceiveTime(ctx context.Context, info *tap.Info) (context.Context, error) {
	if !s.unary[info.FullMethodName] || s.cfg.ReadTimeout == 0 || s.cfg.RequestTimeout == 0 {
		return ctx, nil
	}
	// The deadline of the call itself begins with its message, so this one lets it pass.
	ctx, cancel := context.WithTimeout(ctx, s.cfg.ReadTimeout+s.cfg.RequestTimeout) //nolint:gosec // the end of the call ends ctx's parent
	_ = cancel
	return ctx, nil
}
