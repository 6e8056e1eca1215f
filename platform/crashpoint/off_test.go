//go:build !crashpoints

package crashpoint_test

import (
	"testing"

	"example.com/todo/platform/crashpoint"
)

func TestWithoutTheTagNothingHappens(t *testing.T) {
	t.Setenv("CRASHPOINT", "after_effect_before_mark:1")
	crashpoint.Reach(crashpoint.AfterEffect, "")
	crashpoint.Poison([]byte(crashpoint.Kills))
}
