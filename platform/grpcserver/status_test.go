package grpcserver_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"

	"example.com/todo/platform/apperr"
	"example.com/todo/platform/grpcserver"
)

// internalErrorsOnly gathers only the samples with the code Internal.
type internalErrorsOnly struct{ prometheus.Gatherer }

func (g internalErrorsOnly) Gather() ([]*dto.MetricFamily, error) {
	families, err := g.Gatherer.Gather()
	for _, family := range families {
		var kept []*dto.Metric
		for _, m := range family.Metric {
			for _, label := range m.Label {
				if label.GetName() == "grpc_code" && label.GetValue() == "Internal" && m.Counter.GetValue() > 0 && m.Label[1].GetValue() != "ServerReflectionInfo" {
					kept = append(kept, m)
				}
			}
		}
		family.Metric = kept
	}
	return families, err
}

func TestStatusMapsEachKindToItsCodeAndDetails(t *testing.T) {
	t.Parallel()
	invalid := apperr.InvalidFields(apperr.Field{Name: "title", Problem: "must not be empty"})
	limited := apperr.New(apperr.RateLimited, "too many requests")
	limited.RetryAfter = 1500 * time.Millisecond
	retry := func(d time.Duration) []any { return []any{&errdetails.RetryInfo{RetryDelay: durationpb.New(d)}} }
	tests := map[string]struct {
		err     error
		code    codes.Code
		message string
		details []any
	}{
		"invalid": {invalid, codes.InvalidArgument, "title must not be empty", []any{&errdetails.BadRequest{
			FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: "title", Description: "must not be empty"}}}}},
		"unauthenticated":     {apperr.New(apperr.Unauthenticated, "sign in"), codes.Unauthenticated, "sign in", nil},
		"permission denied":   {apperr.New(apperr.PermissionDenied, "not yours"), codes.PermissionDenied, "not yours", nil},
		"not found":           {apperr.New(apperr.NotFound, "no such task"), codes.NotFound, "no such task", nil},
		"already exists":      {apperr.New(apperr.AlreadyExists, "taken"), codes.AlreadyExists, "taken", nil},
		"precondition failed": {apperr.New(apperr.PreconditionFailed, "it moved on"), codes.Aborted, "it moved on", nil},
		"gone":                {apperr.New(apperr.Gone, "too old"), codes.OutOfRange, "too old", nil},
		"rate limited":        {limited, codes.ResourceExhausted, "too many requests", retry(1500 * time.Millisecond)},
		"unavailable":         {apperr.New(apperr.Unavailable, "try again"), codes.Unavailable, "try again", retry(time.Second)},
		"deadline":            {fmt.Errorf("query: %w", context.DeadlineExceeded), codes.Unavailable, "the request could not be finished in time; try again", retry(time.Second)},
		"anything else":       {errors.New("pq: no such table"), codes.Internal, "something went wrong on our side", nil},
		"a status":            {status.Error(codes.DataLoss, "lost"), codes.DataLoss, "lost", nil},
		"a status inside":     {fmt.Errorf("secret: %w", status.Error(codes.DataLoss, "lost")), codes.DataLoss, "lost", nil},
		"a status as cause":   {apperr.New(apperr.Unavailable, "try again").WithCause(status.Error(codes.DataLoss, "lost")), codes.Unavailable, "try again", retry(time.Second)},
		"twice through here":  {grpcserver.Status(grpcserver.Status(invalid)), codes.InvalidArgument, "title must not be empty", []any{invalidDetails()}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := grpcserver.Status(test.err)
			got := status.Convert(err)
			if got.Code() != test.code || got.Message() != test.message {
				t.Errorf("got %v", got)
			}
			if diff := cmp.Diff(test.details, got.Details(), protocmp.Transform()); diff != "" && len(test.details)+len(got.Details()) > 0 {
				t.Error(diff)
			}
			if !errors.Is(err, test.err) {
				t.Error("the cause is lost")
			}
		})
	}
	if grpcserver.Status(nil) != nil {
		t.Error("Status(nil) is not nil")
	}
}

func invalidDetails() *errdetails.BadRequest {
	return &errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: "title", Description: "must not be empty"}}}
}
