package grpcserver

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"example.com/todo/platform/logging"
)

const requestIDKey = "x-request-id"

// startCall gives a call its request id and returns what logs its end.
func (s *Server) startCall(ctx context.Context, method string) (context.Context, func(error)) {
	start, incoming := time.Now(), ""
	if values := metadata.ValueFromIncomingContext(ctx, requestIDKey); len(values) > 0 {
		incoming = values[0]
	}
	id := logging.AcceptRequestID(incoming)
	ctx = logging.WithRequestID(ctx, id)
	_ = grpc.SetHeader(ctx, metadata.Pairs(requestIDKey, id)) // fails only when the client has left
	return ctx, func(err error) {
		code := status.Code(err)
		attrs := []slog.Attr{
			slog.String("method", method), slog.String("code", code.String()),
			slog.Int64("duration_us", time.Since(start).Microseconds()),
		}
		if err != nil {
			attrs = append(attrs, slog.String("error", err.Error()))
		}
		level := callLogLevel(method, code)
		if errors.Is(err, errConnectionAged) { // as intended
			level = slog.LevelInfo
		}
		s.log.LogAttrs(ctx, level, "gRPC call", attrs...)
	}
}

func callLogLevel(method string, code codes.Code) slog.Level {
	switch code {
	case codes.Internal, codes.Unknown, codes.DataLoss:
		return slog.LevelError
	case codes.Unavailable, codes.DeadlineExceeded:
		return slog.LevelWarn
	}
	if strings.HasPrefix(method, "/grpc.") { // health and reflection, asked all the time
		return slog.LevelDebug
	}
	return slog.LevelInfo
}

func (s *Server) logUnary(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	ctx, ended := s.startCall(ctx, info.FullMethod)
	resp, err := next(ctx, req)
	ended(err)
	return resp, err
}

func (s *Server) logStream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	ctx, ended := s.startCall(stream.Context(), info.FullMethod)
	err := next(srv, &envelopeStream{stream, ctx})
	ended(err)
	return err
}

// deadlineUnary sets the deadline of a call and turns its error into a status.
func (s *Server) deadlineUnary(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	bounded := ctx
	if s.cfg.RequestTimeout > 0 {
		limited, cancel := context.WithTimeout(ctx, s.cfg.RequestTimeout)
		defer cancel()
		bounded = limited
	}
	resp, err := next(bounded, req)
	return resp, toStatus(ctx, err)
}

// deadlineStream ends a stream's context with the server, or with the age of its
// connection, and turns its error into a status.
func (s *Server) deadlineStream(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	ctx, cancel := context.WithCancelCause(stream.Context())
	defer cancel(nil)
	defer context.AfterFunc(s.stopping, func() { cancel(nil) })()
	defer time.AfterFunc(timeLeftForStreams(ctx), func() { cancel(errConnectionAged) }).Stop()
	err := next(srv, &envelopeStream{stream, ctx})
	if err != nil && errors.Is(context.Cause(ctx), errConnectionAged) {
		err = errConnectionAged
	}
	return toStatus(stream.Context(), err)
}

// toStatus is the status of err. Of a call that its client gave up (client is
// its context) it says so, and not that the server failed.
func toStatus(client context.Context, err error) error {
	if err != nil && client.Err() != nil {
		return &statusError{status.FromContextError(client.Err()), err}
	}
	return Status(err)
}
