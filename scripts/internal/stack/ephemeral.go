package stack

import (
	"context"
	"os"

	"example.com/todo/scripts/internal/server"
	"example.com/todo/scripts/internal/supervisor"
)

// Request names the servers of a sandbox.
type Request struct {
	Postgres bool
	Durable  bool // PostgreSQL flushes what it commits, as it does where data has to last
	Redis    bool
	Kafka    string // KafkaEmbedded, KafkaApache, or "" for none
}

// Ephemeral is a set of private servers on free ports, whose data dies with it.
type Ephemeral struct {
	dir     string
	servers *supervisor.Supervisor
	env     []string
	release func() // of the ports
}

// StartEphemeral starts the servers that are wanted and waits until they serve. On an error nothing is left.
func StartEphemeral(ctx context.Context, t Tools, w Request) (*Ephemeral, error) {
	dir, err := os.MkdirTemp("", "devstack-")
	if err != nil {
		return nil, err
	}
	s := &Ephemeral{dir: dir}
	if err := s.start(ctx, t, w); err != nil {
		_ = s.Close(ctx) // the first error says more
		return nil, err
	}
	return s, nil
}

// Env returns the environment entries that tell where the servers are, and where the program of Redis is.
func (s *Ephemeral) Env() []string { return s.env }

// Deaths delivers the first server that ended by itself.
func (s *Ephemeral) Deaths() <-chan *supervisor.UnexpectedExit { return s.servers.UnexpectedExits() }

// Close stops the servers and removes their data, also when ctx has ended.
func (s *Ephemeral) Close(ctx context.Context) error {
	if s.release != nil {
		defer s.release()
	}
	if s.servers != nil {
		if err := s.servers.StopAll(ctx); err != nil {
			return err
		}
	}
	return removeData(s.dir)
}

func (s *Ephemeral) start(ctx context.Context, t Tools, w Request) error {
	// The account that PostgreSQL needs under root has to pass through.
	if err := os.Chmod(s.dir, 0o711); err != nil {
		return err
	}
	ports, release, err := FreePorts(ctx)
	if err != nil {
		return err
	}
	s.release = release
	var parts []supervisor.Part
	var postgres server.Postgres
	if w.Postgres {
		if postgres, err = t.postgres(ctx, s.dir, ports); err != nil {
			return err
		}
		postgres.NoFsync = !w.Durable
		parts = append(parts, postgres)
	}
	if w.Redis {
		redis, err := t.redis(ctx, s.dir, ports)
		if err != nil {
			return err
		}
		parts = append(parts, redis)
		s.env = append(s.env, "TEST_REDIS_ADDR="+redis.Addr(), "TEST_REDIS_SERVER="+redis.Program)
	}
	if w.Kafka != "" {
		kafka, err := t.broker(ctx, w.Kafka, s.dir, ports)
		if err != nil {
			return err
		}
		parts = append(parts, kafka)
		s.env = append(s.env, "TEST_KAFKA_BROKERS="+kafka.Addr())
	}
	s.servers = supervisor.New(supervisor.Config{
		Launcher: t.Launcher, Console: t.Console, LogDir: s.dir, StopTimeout: stopTimeout,
	}, parts...)
	if err := s.servers.StartAll(ctx, s.servers.Names()...); err != nil {
		return err
	}
	if !w.Postgres {
		return nil
	}
	dsn, err := postgres.SuperuserDSN()
	s.env = append(s.env, "TEST_POSTGRES_DSN="+dsn)
	return err
}
