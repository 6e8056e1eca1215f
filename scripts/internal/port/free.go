// Package port finds free TCP ports, and tells who holds one that is not.
package port

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// Free ports are sought below the range from which systems take the ports of outgoing connections: one
// of those could otherwise take a part's port while the part is stopped.
const (
	firstPort          = 12000
	blockCount         = 1250
	blockSize          = 16
	maxReserveAttempts = 200
)

// Block is a set of ports that belong to this program until it closes the block, whether it listens on
// them or not: no other Block has them. It holds a further port as the sign of that.
type Block struct {
	Ports []int
	guard net.Listener
}

// Reserve returns a block of n free ports of 127.0.0.1, fewer than blockSize.
func Reserve(ctx context.Context, n int) (*Block, error) {
	for range maxReserveAttempts {
		base := firstPort + blockSize*rand.IntN(blockCount)
		if Check(ctx, base) != nil {
			continue
		}
		sign, err := new(net.ListenConfig).Listen(ctx, "tcp", Addr(base))
		if err != nil {
			continue
		}
		b := &Block{guard: sign}
		for port := base + 1; port <= base+n && Check(ctx, port) == nil; port++ {
			b.Ports = append(b.Ports, port)
		}
		if len(b.Ports) == n {
			return b, nil
		}
		b.Close()
	}
	return nil, fmt.Errorf("found no %d free ports from %d on", n, firstPort)
}

// Close gives the ports back.
func (b *Block) Close() { _ = b.guard.Close() }

// Addr returns the address of a port on the loopback interface, where everything here listens.
func Addr(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
