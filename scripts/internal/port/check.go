package port

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"
)

// dialTimeout bounds the probe for a listener on every address.
const dialTimeout = 200 * time.Millisecond

// portChecks is how often a port without a known holder is checked.
const portChecks = 10

// ErrTaken means that a process listens on the port.
var ErrTaken = errors.New("already taken")

// Check returns nil if a part can listen on a port of 127.0.0.1, ErrTaken if another process listens on it,
// and another error if the system refuses the port.
func Check(ctx context.Context, port int) error {
	// A child between fork and exec holds this process's open sockets, the listener of another Check among
	// them. So a port counts as taken if its holder is known, or if every check finds it taken.
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
	// On some systems a listener on every address does not forbid one on 127.0.0.1.
	c, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, "tcp", Addr(port))
	if err != nil {
		return nil //nolint:nilerr // no listener: the port is free
	}
	_ = c.Close()
	return ErrTaken
}
