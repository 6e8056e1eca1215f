package redisstore

import (
	"fmt"
	"runtime/debug"
)

// recovered, deferred, makes a panic an error. No server's recovery sees the
// goroutines of this package.
func recovered(what string, err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("%s panicked: %v\n%s", what, p, debug.Stack())
	}
}
