package grpcserver

import (
	"errors"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"example.com/todo/platform/apperr"
)

// codeOf is the one table from refusals to gRPC.
var codeOf = map[apperr.Kind]codes.Code{
	apperr.Internal:           codes.Internal,
	apperr.Invalid:            codes.InvalidArgument,
	apperr.NotFound:           codes.NotFound,
	apperr.PreconditionFailed: codes.Aborted,
	apperr.Gone:               codes.OutOfRange,
	apperr.RateLimited:        codes.ResourceExhausted,
	apperr.Unavailable:        codes.Unavailable,
}

// statusError is a status for the client that remembers its cause for the log.
type statusError struct {
	status *status.Status
	cause  error
}

func (e *statusError) Error() string              { return e.cause.Error() }
func (e *statusError) Unwrap() error              { return e.cause }
func (e *statusError) GRPCStatus() *status.Status { return e.status }

// Status returns err as a gRPC status error: that of the fault in its chain,
// with BadRequest or RetryInfo details, else that of the status in its chain,
// else what fault.Of makes of it. The client sees the fault's message and
// fields; err itself stays for the log. Status(nil) is nil.
func Status(err error) error {
	if err == nil {
		return nil
	}
	var already interface{ GRPCStatus() *status.Status }
	if !errors.As(err, new(*apperr.Error)) && errors.As(err, &already) {
		return &statusError{already.GRPCStatus(), err}
	}
	f := apperr.Of(err)
	s := status.New(codeOf[f.Kind], f.Message)
	if detailed, failed := s.WithDetails(errorDetails(f)...); failed == nil {
		s = detailed
	}
	return &statusError{s, err}
}

func errorDetails(f *apperr.Error) []protoadapt.MessageV1 {
	switch f.Kind {
	case apperr.Invalid:
		bad := &errdetails.BadRequest{}
		for _, field := range f.Fields {
			bad.FieldViolations = append(bad.FieldViolations, &errdetails.BadRequest_FieldViolation{Field: field.Name, Description: field.Problem})
		}
		return []protoadapt.MessageV1{bad}
	case apperr.RateLimited, apperr.Unavailable:
		wait := f.RetryAfter
		if wait <= 0 {
			wait = time.Second
		}
		return []protoadapt.MessageV1{&errdetails.RetryInfo{RetryDelay: durationpb.New(wait)}}
	}
	return nil
}
