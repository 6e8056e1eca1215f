package stack

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"example.com/todo/scripts/internal/console"
	"example.com/todo/scripts/internal/port"
	"example.com/todo/scripts/internal/proc"
	"example.com/todo/scripts/internal/program"
	"example.com/todo/scripts/internal/server"
	"example.com/todo/scripts/internal/supervisor"
)

// SandboxConfig names the servers of a sandbox.
type SandboxConfig struct {
	Launcher *proc.Launcher
	Console  *console.Console
	Postgres bool
	Redis    bool
	Kafka    string // "embedded", "apache", or none
}

// Sandbox is a set of private servers on free ports, whose data dies with it.
type Sandbox struct {
	dir     string
	servers *supervisor.Supervisor
	env     []string
}

// OpenSandbox starts the servers that cfg names and waits until they serve. On an error nothing is left.
func OpenSandbox(ctx context.Context, cfg SandboxConfig) (*Sandbox, error) {
	dir, err := os.MkdirTemp("", "devstack-")
	if err != nil {
		return nil, err
	}
	s := &Sandbox{dir: dir}
	if err := s.start(ctx, cfg); err != nil {
		_ = s.Close() // the first error says more
		return nil, err
	}
	return s, nil
}

// Env returns the environment entries that tell where the servers are.
func (s *Sandbox) Env() []string { return s.env }

// Deaths delivers the first server that ended by itself.
func (s *Sandbox) Deaths() <-chan *supervisor.Death { return s.servers.Deaths() }

// Close stops the servers and removes their data.
func (s *Sandbox) Close() error {
	if s.servers != nil {
		if err := s.servers.StopAll(); err != nil {
			return err
		}
	}
	if err := (server.Postgres{Dir: filepath.Join(s.dir, "postgres")}).Remove(); err != nil {
		return err
	}
	return os.RemoveAll(s.dir)
}

func (s *Sandbox) start(ctx context.Context, cfg SandboxConfig) error {
	// The account that PostgreSQL needs under root must be able to enter.
	if err := os.Chmod(s.dir, 0o711); err != nil {
		return err
	}
	ports, err := port.Free(4)
	if err != nil {
		return err
	}
	var parts []supervisor.Part
	var postgres *server.Postgres
	if cfg.Postgres {
		bin, err := program.Postgres()
		if err != nil {
			return err
		}
		postgres = &server.Postgres{
			Bin: bin, Dir: filepath.Join(s.dir, "postgres"), Port: ports[0], Launcher: cfg.Launcher, Volatile: true,
		}
		parts = append(parts, postgres)
	}
	if cfg.Redis {
		path, err := program.Redis()
		if err != nil {
			return err
		}
		redis := server.Redis{Program: path, Dir: filepath.Join(s.dir, "redis"), Port: ports[1]}
		parts = append(parts, redis)
		s.env = append(s.env, "TEST_REDIS_ADDR="+redis.Addr())
	}
	if cfg.Kafka != "" {
		self, err := os.Executable()
		if err != nil {
			return err
		}
		kafka := server.EmbeddedKafka{Program: self, Dir: filepath.Join(s.dir, "kafka"), Port: ports[2]}
		parts = append(parts, kafka)
		s.env = append(s.env, "TEST_KAFKA_BROKERS="+kafka.Addr())
	}
	s.servers = supervisor.New(supervisor.Config{Launcher: cfg.Launcher, Console: cfg.Console, LogDir: s.dir}, parts...)
	if err := startAll(ctx, s.servers, s.servers.Names()...); err != nil {
		return err
	}
	if postgres == nil {
		return nil
	}
	dsn, err := postgres.SuperuserDSN()
	if err != nil {
		return err
	}
	s.env = append(s.env, "TEST_POSTGRES_DSN="+dsn)
	return nil
}

// startAll starts parts side by side and waits until all of them serve, or one does not.
func startAll(ctx context.Context, s *supervisor.Supervisor, names ...string) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, name := range names {
		group.Go(func() error { return s.Start(ctx, name) })
	}
	if err := group.Wait(); err != nil {
		return fmt.Errorf("the servers did not start: %w", err)
	}
	return nil
}
