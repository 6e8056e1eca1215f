//go:build !failpoints

package failpoint_test

import (
	"testing"

	"example.com/todo/platform/failpoint"
)

func TestHitHasNoEffectWithoutTheBuildTag(t *testing.T) {
	t.Setenv("FAILPOINT", "after_effect_before_mark:1")
	failpoint.Hit(failpoint.AfterEffect, "")
	failpoint.HitPoison([]byte(failpoint.Kills))
}
