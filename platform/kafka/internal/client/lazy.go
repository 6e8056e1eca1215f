package client

import (
	"context"
	"errors"
	"net"
)

// Lazy is a client that opens on the first call, and anew after a call that failed.
// Calls from several goroutines run one at a time.
type Lazy struct {
	connector *Connector
	sem       chan struct{} // held by the call in progress; a channel, so that a context ends the wait for it
	client    *Client       // nil before the first call and after a failed one
	closed    bool
}

// NewLazy returns a client that has not connected yet.
func (c *Connector) NewLazy() *Lazy { return &Lazy{connector: c, sem: make(chan struct{}, 1)} }

// Do calls fn and returns its error, which names the setting if it is about TLS or the
// credentials, joined with ctx's if that has ended, or net.ErrClosed
// after Close. When ctx ends while fn runs, fn's calls fail at once.
func (l *Lazy) Do(ctx context.Context, fn func(*Client) error) error {
	select {
	case l.sem <- struct{}{}:
		defer func() { <-l.sem }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if l.closed {
		return net.ErrClosed
	}
	if l.client == nil || l.client.dialer.isClosed() {
		client, err := l.connector.Open(0)
		if err != nil {
			return err
		}
		l.client = client
	}
	// Sarama's calls take no context and wait for their timeouts. With closed sockets they return.
	stop := context.AfterFunc(ctx, l.client.Abort)
	err := fn(l.client)
	if aborted := !stop(); err != nil || aborted {
		l.disconnect() // a new client learns the present leaders
	}
	err, _ = explainSecurity(err, l.connector.cfg)
	if err != nil && ctx.Err() != nil {
		return errors.Join(ctx.Err(), err)
	}
	return err
}

// Close waits for the call in progress and closes the client for good.
func (l *Lazy) Close() {
	l.sem <- struct{}{}
	defer func() { <-l.sem }()
	l.closed = true
	l.disconnect()
}

func (l *Lazy) disconnect() {
	if l.client != nil {
		_ = l.client.Close()
		l.client = nil
	}
}
