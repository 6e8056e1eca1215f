package server

import (
	"context"
	"errors"
	"net"
	"net/textproto"
	"os"
	"strconv"

	"example.com/todo/scripts/internal/port"
	"example.com/todo/scripts/internal/proc"
	"example.com/todo/scripts/internal/supervisor"
)

// Redis is a Redis server with an append-only file and without eviction.
type Redis struct {
	Program string // path of redis-server
	Dir     string // where the append-only file lives
	Port    int
}

// Addr is the address clients use.
func (r Redis) Addr() string { return port.Addr(r.Port) }

// Part describes the server's process.
func (r Redis) Part() supervisor.Part {
	return supervisor.Part{
		Name:      "redis",
		ReadyWhen: "PONG from " + r.Addr(),
		Prepare:   func(context.Context) error { return os.MkdirAll(r.Dir, 0o755) },
		Ready:     r.ready,
		Command: func() (proc.Command, error) {
			return proc.Command{Path: r.Program, Args: []string{
				"--bind", "127.0.0.1", "--port", strconv.Itoa(r.Port),
				"--dir", r.Dir, "--appendonly", "yes", "--maxmemory-policy", "noeviction",
				"--save", "", "--daemonize", "no",
			}}, nil
		},
	}
}

// ready returns nil if the server responds to PING.
func (r Redis) ready(ctx context.Context) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", r.Addr())
	if err != nil {
		return err
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return err
	}
	text := textproto.NewConn(conn)
	if err := text.PrintfLine("PING"); err != nil {
		return err
	}
	reply, err := text.ReadLine()
	if err != nil {
		return err
	}
	if reply != "+PONG" {
		return errors.New("answers " + reply)
	}
	return nil
}
