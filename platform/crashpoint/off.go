//go:build !crashpoints

package crashpoint

// Reach says that a named place was reached, and what was in hand. It does
// nothing in this build.
func Reach(_, _ string) {}

// Poison says that a handler is about to work on a record's value. It does
// nothing in this build.
func Poison(_ []byte) {}
