package coalesce

import (
	"fmt"
	"runtime/debug"
)

// Recover stores a panic in err, with what panicked and the stack. It is deferred in
// goroutines that no server's recovery covers.
func Recover(what string, err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("%s panicked: %v\n%s", what, p, debug.Stack())
	}
}
