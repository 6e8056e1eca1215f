//go:build !crashpoints

package crashpoint

// Reach says that the place name was reached, with so much in hand. It does
// nothing in this build.
func Reach(name, inHand string) {}

// Poison says that a handler is about to work on a record's value. It does
// nothing in this build.
func Poison(value []byte) {}
