// Package ephemeral runs private servers for one command: on free ports, with data that is deleted when
// the command ends.
package ephemeral

import (
	"context"
	"os"
	"time"

	"example.com/todo/scripts/internal/port"
	"example.com/todo/scripts/internal/server"
	"example.com/todo/scripts/internal/supervisor"
	"example.com/todo/scripts/internal/toolchain"
)

const (
	maxPorts    = 4 // PostgreSQL, Redis, Kafka and Kafka's controller
	stopTimeout = 9 * time.Second
)

// Request names the servers to start.
type Request struct {
	Postgres bool
	Durable  bool // PostgreSQL flushes its commits, as in production
	Redis    bool
	Kafka    string // toolchain.KafkaEmbedded, toolchain.KafkaApache, or "" for no Kafka
}

// Servers is a running set of servers.
type Servers struct {
	dir     string
	parts   *supervisor.Supervisor
	environ []string
	ports   *port.Block
}

// Start starts the requested servers and returns when all of them are ready. After an error no process
// and no file is left.
func Start(ctx context.Context, t toolchain.Tools, r Request) (*Servers, error) {
	dir, err := os.MkdirTemp("", "devstack-")
	if err != nil {
		return nil, err
	}
	s := &Servers{dir: dir}
	if err := s.start(ctx, t, r); err != nil {
		_ = s.Close(ctx) // the first error says more
		return nil, err
	}
	return s, nil
}

// Environ returns the variables with the servers' addresses and the path of redis-server, as KEY=VALUE.
func (s *Servers) Environ() []string { return s.environ }

// UnexpectedExits delivers the first server that exited without a stop.
func (s *Servers) UnexpectedExits() <-chan *supervisor.UnexpectedExit {
	return s.parts.UnexpectedExits()
}

// Close stops the servers and deletes their data. It works after the end of ctx, too.
func (s *Servers) Close(ctx context.Context) error {
	if s.ports != nil {
		defer s.ports.Close()
	}
	if s.parts != nil {
		if err := s.parts.StopAll(ctx); err != nil {
			return err
		}
	}
	return toolchain.RemoveData(s.dir)
}

func (s *Servers) start(ctx context.Context, t toolchain.Tools, r Request) error {
	// Under root, PostgreSQL runs as another user, which must be able to enter the folder.
	if err := os.Chmod(s.dir, 0o711); err != nil {
		return err
	}
	var err error
	if s.ports, err = port.Reserve(ctx, maxPorts); err != nil {
		return err
	}
	ports := s.ports.Ports
	var parts []supervisor.Part
	var postgres server.Postgres
	if r.Postgres {
		if postgres, err = t.Postgres(ctx, s.dir, ports[0]); err != nil {
			return err
		}
		postgres.NoFsync = !r.Durable
		parts = append(parts, postgres.Part())
	}
	if r.Redis {
		redis, err := t.Redis(ctx, s.dir, ports[1])
		if err != nil {
			return err
		}
		parts = append(parts, redis.Part())
		s.environ = append(s.environ, "TEST_REDIS_ADDR="+redis.Addr(), "TEST_REDIS_SERVER="+redis.Program)
	}
	if r.Kafka != "" {
		kafka, err := t.Kafka(ctx, r.Kafka, s.dir, server.KafkaListener{Port: ports[2], ControllerPort: ports[3]})
		if err != nil {
			return err
		}
		parts = append(parts, kafka)
		s.environ = append(s.environ, "TEST_KAFKA_BROKERS="+port.Addr(ports[2]))
	}
	s.parts = supervisor.New(supervisor.Config{
		Launcher: t.Launcher, Console: t.Console, LogDir: s.dir, StopTimeout: stopTimeout,
	}, parts...)
	if err := s.parts.StartAll(ctx); err != nil {
		return err
	}
	if !r.Postgres {
		return nil
	}
	dsn, err := postgres.SuperuserDSN()
	s.environ = append(s.environ, "TEST_POSTGRES_DSN="+dsn)
	return err
}
