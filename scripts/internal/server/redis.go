package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"os"
	"path/filepath"
	"strconv"

	"example.com/todo/scripts/internal/port"
	"example.com/todo/scripts/internal/proc"
	"example.com/todo/scripts/internal/supervisor"
)

// Redis is a Redis server with an append-only file and without eviction.
type Redis struct {
	Program  string // path of redis-server
	Dir      string // where the append-only file lives
	Port     int
	Security *Security
}

// Addr is the address clients use.
func (r Redis) Addr() string { return port.Addr(r.Port) }

// Part describes the server's process.
func (r Redis) Part() supervisor.Part {
	return supervisor.Part{
		Name:      "redis",
		ReadyWhen: "PONG from " + r.Addr(),
		Prepare:   r.prepare,
		Ready:     r.ready,
		Command: func() (proc.Command, error) {
			return proc.Command{Path: r.Program, Args: append([]string{
				"--bind", "127.0.0.1", "--dir", r.Dir, "--appendonly", "yes", "--maxmemory-policy", "noeviction",
				"--save", "", "--daemonize", "no",
			}, r.listenArgs()...)}, nil
		},
	}
}

func (r Redis) listenArgs() []string {
	number := strconv.Itoa(r.Port)
	if r.Security == nil {
		return []string{"--port", number}
	}
	return []string{
		"--port", "0", "--tls-port", number, "--tls-cert-file", r.Security.Cert, "--tls-key-file", r.Security.Key,
		"--tls-ca-cert-file", r.Security.CA, "--tls-auth-clients", "no", "--aclfile", r.aclPath(),
	}
}

func (r Redis) aclPath() string { return filepath.Join(r.Dir, "users.acl") }

// prepare creates the data folder and the file of the users.
func (r Redis) prepare(ctx context.Context) error {
	if r.Security == nil {
		return os.MkdirAll(r.Dir, 0o755)
	}
	if err := os.MkdirAll(r.Dir, 0o700); err != nil { // the append-only file is readable for all
		return err
	}
	hasReadOnlyKeys, err := r.hasReadOnlyKeys(ctx)
	if err != nil {
		return err
	}
	acl, err := r.Security.redisACL(hasReadOnlyKeys)
	if err != nil {
		return fmt.Errorf("users of Redis: %w", err)
	}
	return os.WriteFile(r.aclPath(), []byte(acl), 0o600)
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
	if r.Security == nil {
		return expectReply(textproto.NewConn(conn), "+PONG", "PING")
	}
	cfg, err := r.Security.clientTLS()
	if err != nil {
		return err
	}
	cfg.ServerName = "127.0.0.1"
	text, operator := textproto.NewConn(tls.Client(conn, cfg)), r.Security.Operator
	if err := expectReply(text, "+OK", "AUTH "+operator.Name+" "+operator.Password); err != nil {
		return err
	}
	return expectReply(text, "+PONG", "PING")
}

// expectReply sends a command, and returns an error for any other reply.
func expectReply(text *textproto.Conn, want, command string) error {
	if err := text.PrintfLine("%s", command); err != nil {
		return err
	}
	reply, err := text.ReadLine()
	if err == nil && reply != want {
		err = errors.New("answers " + reply)
	}
	return err
}
