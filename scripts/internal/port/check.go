package port

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"
)

// dialTimeout bounds the look whether somebody answers on a port.
const dialTimeout = 200 * time.Millisecond

// portChecks is how often it is looked whether a port is taken of which nobody is known to hold it.
const portChecks = 10

// ErrTaken says that somebody listens on a port already.
var ErrTaken = errors.New("already taken")

// Check tells whether a part can listen on a port of 127.0.0.1: ErrTaken when somebody else does,
// another error when the system refuses the port.
//
// A program that this one is starting has for a moment all that this one had open then, the listener of
// another Check among it: a port is taken when it is known by whom, or again and again.
func Check(ctx context.Context, port int) error {
	err := tryListen(ctx, port)
	for n := 1; n < portChecks && errors.Is(err, ErrTaken) && Holder(port) == ""; n++ {
		err = tryListen(ctx, port)
	}
	return err
}

func tryListen(ctx context.Context, port int) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", Addr(port))
	if errors.Is(err, syscall.EADDRINUSE) {
		return ErrTaken
	}
	if err != nil {
		return fmt.Errorf("listen on port %d: %w", port, err)
	}
	_ = l.Close()
	// A listener on every address does not forbid one on 127.0.0.1 on every system.
	c, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, "tcp", Addr(port))
	if err != nil {
		return nil //nolint:nilerr // nobody answers: that is what makes the port free
	}
	_ = c.Close()
	return ErrTaken
}
