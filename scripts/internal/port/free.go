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
	lowestFree  = 12000
	highestFree = 32000
	tries       = 200
)

// Free returns n different ports of 127.0.0.1 that nobody listens on now.
func Free(ctx context.Context, n int) ([]int, error) {
	var ports []int
	seen := map[int]bool{}
	for range tries + n {
		if len(ports) == n {
			return ports, nil
		}
		candidate := lowestFree + rand.IntN(highestFree-lowestFree)
		if !seen[candidate] && Check(ctx, candidate) == nil {
			ports = append(ports, candidate)
		}
		seen[candidate] = true
	}
	if len(ports) == n {
		return ports, nil
	}
	return nil, fmt.Errorf("found only %d of %d free ports between %d and %d", len(ports), n, lowestFree, highestFree)
}

// Addr returns the address of a port on the loopback interface, where everything here listens.
func Addr(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
