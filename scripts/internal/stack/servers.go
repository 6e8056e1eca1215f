package stack

import (
	"context"
	"fmt"
	"path/filepath"

	"example.com/todo/scripts/internal/server"
	"example.com/todo/scripts/internal/supervisor"
)

// The kinds of Kafka.
const (
	KafkaEmbedded = "embedded"
	KafkaApache   = "apache"
)

// CheckKafka tells whether kind is a kind of Kafka.
func CheckKafka(kind string) error {
	if kind != KafkaEmbedded && kind != KafkaApache {
		return fmt.Errorf("there is no %q Kafka: it is %s or %s", kind, KafkaEmbedded, KafkaApache)
	}
	return nil
}

// broker is either kind of Kafka.
type broker interface {
	supervisor.Part
	Addr() string
}

func (t Tools) postgres(ctx context.Context, dir string, ports Ports) (server.Postgres, error) {
	bin, err := t.Finder.Postgres(ctx)
	if err != nil {
		return server.Postgres{}, err
	}
	return server.Postgres{Bin: bin, Dir: postgresDir(dir), Port: ports[PostgresPort], Launcher: t.Launcher}, nil
}

func postgresDir(dir string) string { return filepath.Join(dir, "postgres") }

func (t Tools) redis(ctx context.Context, dir string, ports Ports) (server.Redis, error) {
	path, err := t.Finder.Redis(ctx)
	if err != nil {
		return server.Redis{}, err
	}
	return server.Redis{Program: path, Dir: filepath.Join(dir, "redis"), Port: ports[RedisPort]}, nil
}

func (t Tools) kafka(ctx context.Context, kind, dir string, ports Ports) (broker, error) {
	data := filepath.Join(dir, "kafka")
	if kind == KafkaEmbedded {
		return server.EmbeddedKafka{Program: t.Self, Dir: data, Port: ports[KafkaPort]}, nil
	}
	found, err := t.Finder.Kafka(ctx)
	if err != nil {
		return nil, err
	}
	return server.ApacheKafka{
		Program: found, Dir: data, Port: ports[KafkaPort], ControllerPort: ports[KafkaController], Launcher: t.Launcher,
	}, nil
}
