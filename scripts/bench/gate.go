package main

import (
	"context"
	"io"
	"net"
	"sync/atomic"
)

// gate is a TCP proxy to a broker that rejects connections until it is opened.
type gate struct {
	listener net.Listener
	broker   string
	opened   atomic.Bool
}

func newGate(ctx context.Context, broker string) (*gate, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	g := &gate{listener: listener, broker: broker}
	go g.serve(ctx)
	return g, nil
}

func (g *gate) addr() string { return g.listener.Addr().String() }
func (g *gate) open()        { g.opened.Store(true) }
func (g *gate) close()       { _ = g.listener.Close() }

// serve forwards connections once the gate is open. Kafka's metadata names the broker's own address, so only
// the first requests come this way.
func (g *gate) serve(ctx context.Context) {
	for {
		client, err := g.listener.Accept()
		if err != nil {
			return
		}
		if !g.opened.Load() {
			_ = client.Close()
			continue
		}
		go func() {
			defer func() { _ = client.Close() }()
			broker, err := new(net.Dialer).DialContext(ctx, "tcp", g.broker)
			if err != nil {
				return
			}
			defer func() { _ = broker.Close() }()
			go func() { _, _ = io.Copy(broker, client) }()
			_, _ = io.Copy(client, broker)
		}()
	}
}
