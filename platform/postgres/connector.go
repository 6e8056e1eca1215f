package postgres

import (
	"context"
	"database/sql/driver"
	"time"

	"github.com/lib/pq"

	"example.com/todo/platform/metrics"
)

// connector opens connections whose waits are bounded by their contexts.
type connector struct {
	cfg       pq.Config
	durations metrics.Durations // of statements
}

func (c connector) Driver() driver.Driver { return &pq.Driver{} }

// Connect connects to the first suitable host of the DSN. The handshake with each host takes at most
// connect_timeout, all of them at most until ctx ends.
func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	cfg := c.cfg.Clone()
	hosts := time.Duration(1 + len(cfg.Multi))
	if deadline, ok := ctx.Deadline(); ok {
		// A host that does not respond must leave time for the other hosts.
		cfg.ConnectTimeout = max(1, min(cfg.ConnectTimeout, time.Until(deadline)/hosts))
	}
	inner, err := pq.NewConnectorConfig(cfg)
	if err != nil {
		return nil, err
	}
	dialer := &connDialer{}
	inner.Dialer(dialer)
	ctx, cancel := context.WithTimeout(ctx, hosts*cfg.ConnectTimeout)
	defer cancel()
	// lib/pq checks target_session_attrs by a query without a deadline.
	inTime := context.AfterFunc(ctx, dialer.closeSocket)
	conn, err := inner.Connect(ctx)
	if !inTime() && err == nil {
		_ = conn.Close()
		err = ctx.Err()
	}
	if err != nil {
		return nil, classifyConnect(dialer.handshakeError(err))
	}
	dialer.established.Store(true)
	bounded := &boundedConn{pqConn: conn.(pqConn), socket: dialer.socket.Load(), durations: c.durations, establishedAt: time.Now()}
	pq.SetNoticeHandler(conn, bounded.handleNotice)
	return bounded, nil
}

// pqConn has the methods of lib/pq's connections.
type pqConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.NamedValueChecker
	driver.Pinger
	driver.QueryerContext
	driver.SessionResetter
	driver.Validator
}
