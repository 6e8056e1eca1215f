package grpcapi

import (
	"context"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "example.com/todo/contracts/gen/task"
	"example.com/todo/platform/fault"
)

// description is TaskService's, with handlers that refuse an unreadable message
// (text that is not UTF-8, a truncated field) as fault.Invalid. Left alone,
// gRPC answers it INTERNAL, as if the fault were ours, and does so before any
// interceptor has logged, counted or limited the call.
func description() *grpc.ServiceDesc {
	desc := pb.TaskService_ServiceDesc
	desc.Methods = slices.Clone(desc.Methods)
	for i, method := range desc.Methods {
		desc.Methods[i].Handler = readingUnary(method.Handler)
	}
	desc.Streams = slices.Clone(desc.Streams)
	for i, stream := range desc.Streams {
		desc.Streams[i].Handler = readingStream(stream.Handler)
	}
	return &desc
}

func readingUnary(handler grpc.MethodHandler) grpc.MethodHandler {
	return func(srv any, ctx context.Context, dec func(any) error, chain grpc.UnaryServerInterceptor) (any, error) {
		if chain == nil {
			chain = func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
				return next(ctx, req)
			}
		}
		var unreadable error
		decode := func(into any) error {
			unreadable = readable(dec(into))
			return nil // the interceptors come first
		}
		return handler(srv, ctx, decode, func(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
			return chain(ctx, req, info, func(ctx context.Context, req any) (any, error) {
				if unreadable != nil {
					return nil, unreadable
				}
				return next(ctx, req)
			})
		})
	}
}

func readingStream(handler grpc.StreamHandler) grpc.StreamHandler {
	return func(srv any, stream grpc.ServerStream) error {
		return handler(srv, readingServerStream{stream})
	}
}

type readingServerStream struct{ grpc.ServerStream }

func (s readingServerStream) RecvMsg(into any) error { return readable(s.ServerStream.RecvMsg(into)) }

// readable tells a message that cannot be decoded from other failures to
// receive one. gRPC marks only the former INTERNAL.
func readable(err error) error {
	if status.Code(err) != codes.Internal {
		return err
	}
	return fault.New(fault.Invalid, "the request is not a valid message: its text must be UTF-8 and its fields whole").Because(err)
}
