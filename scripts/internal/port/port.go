// Package port reserves free TCP ports and names the process that holds a taken one.
package port

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"syscall"
	"time"
)

// Free ports lie below the range that systems use for outgoing connections. Such a connection could
// otherwise take a part's port while the part is stopped.
const (
	firstPort          = 12000
	blockCount         = 1250
	blockSize          = 16
	maxReserveAttempts = 200
)

// Block is a reservation of ports: until Close no other Block, of any process, has them, whether a program
// listens on them or not. An open listener on one further port is the lock.
type Block struct {
	Ports []int
	guard net.Listener
}

// Reserve reserves n free ports of 127.0.0.1. n must be smaller than blockSize.
func Reserve(ctx context.Context, n int) (*Block, error) {
	for range maxReserveAttempts {
		base := firstPort + blockSize*rand.IntN(blockCount)
		guard, err := new(net.ListenConfig).Listen(ctx, "tcp", Addr(base))
		if err != nil {
			continue
		}
		b := &Block{guard: guard}
		for port := base + 1; port <= base+n && Check(ctx, port) == nil; port++ {
			b.Ports = append(b.Ports, port)
		}
		if len(b.Ports) == n {
			return b, nil
		}
		b.Close()
	}
	return nil, fmt.Errorf("no %d free ports found from %d on", n, firstPort)
}

// Close releases the ports.
func (b *Block) Close() { _ = b.guard.Close() }

// Addr returns the address of a port on the loopback interface, where everything here listens.
func Addr(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

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
