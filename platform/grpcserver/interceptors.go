package grpcserver

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"math"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"example.com/todo/platform/logging"
)

const requestIDKey = "x-request-id"

// startCall returns a context with the request id of a call, and a function that logs the
// end of the call.
func (s *Server) startCall(ctx context.Context, method string) (context.Context, func(error)) {
	start, incoming := time.Now(), ""
	if values := metadata.ValueFromIncomingContext(ctx, requestIDKey); len(values) > 0 {
		incoming = values[0]
	}
	id := logging.AcceptRequestID(incoming)
	ctx = logging.WithRequestID(ctx, id)
	_ = grpc.SetHeader(ctx, metadata.Pairs(requestIDKey, id)) // fails only when the client has disconnected
	return ctx, func(err error) {
		code := status.Code(err)
		attrs := []slog.Attr{
			slog.String("method", method), slog.String("code", code.String()),
			slog.Int64("duration_us", time.Since(start).Microseconds()),
		}
		if err != nil {
			attrs = append(attrs, slog.String("error", err.Error()))
		}
		s.log.LogAttrs(ctx, callLogLevel(method, code, err), "gRPC call", attrs...)
	}
}

func callLogLevel(method string, code codes.Code, err error) slog.Level {
	switch {
	case errors.Is(err, errConnectionAged): // expected in normal operation
		return slog.LevelInfo
	case code == codes.Internal, code == codes.Unknown, code == codes.DataLoss:
		return slog.LevelError
	case code == codes.Unavailable, code == codes.DeadlineExceeded:
		return slog.LevelWarn
	case strings.HasPrefix(method, "/grpc."): // health and reflection are called all the time
		return slog.LevelDebug
	}
	return slog.LevelInfo
}

// serveUnary gives a unary call its request id and deadline, translates its error to a
// status, and logs its end.
func (s *Server) serveUnary(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	ctx, logEnd := s.startCall(ctx, info.FullMethod)
	bounded, cancel := context.WithTimeout(ctx, cmp.Or(s.cfg.RequestTimeout, math.MaxInt64))
	defer cancel()
	resp, err := next(bounded, req)
	err = toStatus(ctx, err)
	logEnd(err)
	return resp, err
}

// serveStream is serveUnary for a stream. The context of the stream has no deadline and
// ends when the server stops or its connection has reached MaxConnAge.
func (s *Server) serveStream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	clientCtx, logEnd := s.startCall(stream.Context(), info.FullMethod)
	ctx, cancel := context.WithCancelCause(clientCtx)
	defer cancel(nil)
	defer context.AfterFunc(s.stopping, func() { cancel(nil) })()
	defer time.AfterFunc(timeLeftForStreams(ctx), func() { cancel(errConnectionAged) }).Stop()
	err := next(srv, &envelopeStream{stream, ctx})
	if err != nil && errors.Is(context.Cause(ctx), errConnectionAged) {
		err = errConnectionAged
	}
	err = toStatus(clientCtx, err)
	logEnd(err)
	return err
}

// toStatus translates err to a status. When the context of the client has ended, the
// status is CANCELLED or DEADLINE_EXCEEDED, whatever err is: the server has not failed.
func toStatus(clientCtx context.Context, err error) error {
	if err != nil && clientCtx.Err() != nil {
		return &statusError{status.FromContextError(clientCtx.Err()), err}
	}
	return Status(err)
}
