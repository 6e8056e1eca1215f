package grpcserver

import (
	"context"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"

	"example.com/todo/platform/apperr"
)

// envelope carries a message, or the error of decoding it, from the codec to the method.
// grpc-go itself answers INTERNAL before any interceptor runs. With an envelope the call
// is logged, counted and answered INVALID_ARGUMENT.
type envelope struct {
	message any
	err     error
}

type codec struct{ encoding.CodecV2 }

func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	if m, ok := v.(*trackedMessage); ok {
		return mem.BufferSlice{mem.NewBuffer(&m.data, m)}, nil
	}
	return c.CodecV2.Marshal(v)
}

func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	e, ok := v.(*envelope)
	if !ok {
		return c.CodecV2.Unmarshal(data, v)
	}
	if err := c.CodecV2.Unmarshal(data, e.message); err != nil {
		invalid := apperr.Field{Name: "message", Problem: "must be one of this method, with all text in valid UTF-8"}
		e.err = apperr.InvalidFields(invalid).WithCause(err)
	}
	return nil
}

// receiveMessage decodes the next message into message, in an envelope that recv fills.
func receiveMessage(message any, recv func(any) error) error {
	e := envelope{message: message}
	if err := recv(&e); err != nil {
		return err
	}
	return e.err
}

// envelopeRegistrar registers services whose unary methods receive envelopes.
type envelopeRegistrar struct{ grpc.ServiceRegistrar }

func (r envelopeRegistrar) RegisterService(desc *grpc.ServiceDesc, impl any) {
	wrapped := *desc
	wrapped.Methods = slices.Clone(desc.Methods)
	for i := range wrapped.Methods {
		wrapped.Methods[i].Handler = envelopeHandler(desc.Methods[i].Handler)
	}
	r.ServiceRegistrar.RegisterService(&wrapped, impl)
}

// envelopeHandler wraps the handler of a unary method: the interceptors run also when the
// message cannot be received, and the error replaces the call of the method.
func envelopeHandler(handle grpc.MethodHandler) grpc.MethodHandler {
	return func(srv any, ctx context.Context, decode func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) {
		var failure error
		decodeInEnvelope := func(v any) error {
			failure = receiveMessage(v, decode)
			return nil
		}
		return handle(srv, ctx, decodeInEnvelope, func(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
			if failure != nil {
				next = func(context.Context, any) (any, error) { return nil, failure }
			}
			return interceptor(ctx, req, info, next)
		})
	}
}

// envelopeStream is a stream with a context of its own that receives envelopes.
type envelopeStream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s *envelopeStream) Context() context.Context { return s.ctx }

func (s *envelopeStream) RecvMsg(m any) error { return receiveMessage(m, s.ServerStream.RecvMsg) }
