package server

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	"example.com/todo/scripts/internal/port"
	"example.com/todo/scripts/internal/proc"
)

// Redis is a Redis server with an append-only file and without eviction.
type Redis struct {
	Program string // path of redis-server
	Dir     string // where the append-only file lives
	Port    int
}

// Name is the part's name.
func (r Redis) Name() string { return "redis" }

// ReadyWhen names the condition of Ready.
func (r Redis) ReadyWhen() string { return "PONG from " + r.Addr() }

// Addr is the address clients use.
func (r Redis) Addr() string { return port.Addr(r.Port) }

// Prepare creates the data folder.
func (r Redis) Prepare(context.Context) error { return os.MkdirAll(r.Dir, 0o755) }

// Command describes the server's process.
func (r Redis) Command() (proc.Command, error) {
	return proc.Command{
		Path: r.Program,
		Args: []string{
			"--bind", "127.0.0.1", "--port", strconv.Itoa(r.Port),
			"--dir", r.Dir, "--appendonly", "yes", "--maxmemory-policy", "noeviction",
			"--save", "", "--daemonize", "no",
		},
	}, nil
}

// Ready returns nil if the server responds to PING.
func (r Redis) Ready(ctx context.Context) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", r.Addr())
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return err
		}
	}
	if _, err := fmt.Fprint(conn, "PING\r\n"); err != nil {
		return err
	}
	reply, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return err
	}
	if reply = strings.TrimSpace(reply); reply != "+PONG" {
		return errors.New("answers " + reply)
	}
	return nil
}
