//go:build !failpoints

package failpoint

// Hit says that a named place was reached, and what was in hand. It does
// nothing in this build.
func Hit(_, _ string) {}

// HitPoison says that a handler is about to work on a record's value. It does
// nothing in this build.
func HitPoison(_ []byte) {}
