package apperr_test

import (
	"errors"
	"fmt"

	"example.com/todo/platform/apperr"
)

func ExampleNew() {
	cause := errors.New("dial tcp 10.0.0.7:5432: connection refused")
	err := fmt.Errorf("create task: %w", apperr.New(apperr.Unavailable, "the task could not be stored; try again").WithCause(cause))
	fmt.Println("client:", apperr.Of(err).Message)
	fmt.Println("log:", err)
	// Output:
	// client: the task could not be stored; try again
	// log: create task: the task could not be stored; try again: dial tcp 10.0.0.7:5432: connection refused
}

func ExampleInvalidFields() {
	err := apperr.InvalidFields(
		apperr.Field{Name: "title", Problem: "must not be empty"},
		apperr.Field{Name: "priority", Problem: "must be from 0 to 100"},
	)
	fmt.Println(err)
	// Output: title must not be empty; priority must be from 0 to 100
}
