// Package port reserves free TCP ports and names the process that holds a taken one.
package port

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
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
