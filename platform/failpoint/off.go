//go:build !failpoints

package failpoint

// Hit has no effect in this build.
func Hit(_, _ string) {}

// HitPoison has no effect in this build.
func HitPoison(_ []byte) {}
