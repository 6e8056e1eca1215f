package apperr_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/todo/platform/apperr"
)

func TestOfReturnsTheErrorInTheChainOrClassifiesIt(t *testing.T) {
	t.Parallel()
	stale := apperr.New(apperr.PreconditionFailed, "version %d has moved on", 3)
	tests := map[string]struct {
		err  error
		kind apperr.Kind
		text string // the message for the client
	}{
		"an Error":                {stale, apperr.PreconditionFailed, "version 3 has moved on"},
		"a wrapped Error":         {fmt.Errorf("update: %w", stale), apperr.PreconditionFailed, "version 3 has moved on"},
		"an Error and a deadline": {errors.Join(context.Canceled, stale), apperr.PreconditionFailed, "version 3 has moved on"},
		"a deadline":              {fmt.Errorf("query: %w", context.DeadlineExceeded), apperr.Unavailable, "the request could not be finished in time; try again"},
		"a cancellation":          {context.Canceled, apperr.Unavailable, "the request could not be finished in time; try again"},
		"an unclassified error":   {errors.New("pq: secret"), apperr.Internal, "something went wrong on our side"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := apperr.Of(test.err)
			if got.Kind != test.kind || got.Message != test.text {
				t.Errorf("got %v %q", got.Kind, got.Message)
			}
			if got != stale && !errors.Is(got, test.err) {
				t.Error("the cause is lost")
			}
		})
	}
	if apperr.Of(nil) != nil {
		t.Error("Of(nil) is not nil")
	}
}

func TestInvalidFieldsJoinsTheFieldsInOneMessage(t *testing.T) {
	t.Parallel()
	title, priority := apperr.Field{Name: "title", Problem: "must not be empty"}, apperr.Field{Name: "priority", Problem: "must be from 0 to 100%"}
	for message, fields := range map[string][]apperr.Field{
		"title must not be empty":                                  {title},
		"title must not be empty; priority must be from 0 to 100%": {title, priority},
	} {
		want := &apperr.Error{Kind: apperr.Invalid, Message: message, Fields: fields}
		if diff := cmp.Diff(want, apperr.InvalidFields(fields...)); diff != "" {
			t.Errorf("error (-want +got):\n%s", diff)
		}
	}
}

func TestErrorTextHasTheCauseAndMessageDoesNot(t *testing.T) {
	t.Parallel()
	err := apperr.New(apperr.Unavailable, "try again").WithCause(io.EOF)
	if err.Message != "try again" || err.Error() != "try again: EOF" || !errors.Is(err, io.EOF) {
		t.Errorf("message %q, error %q", err.Message, err.Error())
	}
}
