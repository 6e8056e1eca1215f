package grpcserver

import (
	"cmp"
	"errors"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"example.com/todo/platform/apperr"
)

// codeOf maps the kinds of application errors to gRPC status codes.
var codeOf = map[apperr.Kind]codes.Code{
	apperr.Internal:           codes.Internal,
	apperr.Invalid:            codes.InvalidArgument,
	apperr.Unauthenticated:    codes.Unauthenticated,
	apperr.PermissionDenied:   codes.PermissionDenied,
	apperr.NotFound:           codes.NotFound,
	apperr.AlreadyExists:      codes.AlreadyExists,
	apperr.PreconditionFailed: codes.Aborted,
	apperr.Gone:               codes.OutOfRange,
	apperr.RateLimited:        codes.ResourceExhausted,
	apperr.Unavailable:        codes.Unavailable,
}

// statusError has a status for the client and the cause for the log.
type statusError struct {
	status *status.Status
	cause  error
}

func (e *statusError) Error() string              { return e.cause.Error() }
func (e *statusError) Unwrap() error              { return e.cause }
func (e *statusError) GRPCStatus() *status.Status { return e.status }

// Status returns err as a gRPC status error. The status is that of the apperr.Error in
// its chain, with BadRequest or RetryInfo details; without one that of the gRPC status in
// its chain; without both that of apperr.Of(err). The text of the result is that of err,
// for the log. Status(nil) is nil.
func Status(err error) error {
	if err == nil {
		return nil
	}
	var withStatus interface{ GRPCStatus() *status.Status }
	if !errors.As(err, new(*apperr.Error)) && errors.As(err, &withStatus) {
		return &statusError{withStatus.GRPCStatus(), err}
	}
	f := apperr.Of(err)
	s := status.New(codeOf[f.Kind], f.Message)
	if detailed, err := s.WithDetails(errorDetails(f)...); err == nil {
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
		wait := cmp.Or(f.RetryAfter, time.Second)
		return []protoadapt.MessageV1{&errdetails.RetryInfo{RetryDelay: durationpb.New(wait)}}
	}
	return nil
}
