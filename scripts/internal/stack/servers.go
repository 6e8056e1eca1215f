package stack

import (
	"context"
	"fmt"
	"path/filepath"

	"example.com/todo/scripts/internal/server"
	"example.com/todo/scripts/internal/supervisor"
)

// The kinds of Kafka, and the word for the better one that the machine can run.
const (
	KafkaEmbedded = "embedded"
	KafkaApache   = "apache"
	KafkaBest     = "best"
)

// Kafka returns the kind that was asked for. The best is the real one where its Java is, and otherwise
// the embedded one, which is said, or refused in CI.
func (t Tools) Kafka(ctx context.Context, asked string) (kind string, err error) {
	switch asked {
	case KafkaEmbedded, KafkaApache:
		return asked, nil
	case KafkaBest:
		_, err := t.Finder.Java(ctx)
		if err == nil {
			return KafkaApache, nil
		}
		if t.CI {
			return "", err
		}
		t.Console.Progress("kafka: it is the embedded one: %v", err)
		return KafkaEmbedded, nil
	default:
		return "", fmt.Errorf("there is no %q Kafka: it is %s, %s or %s", asked, KafkaEmbedded, KafkaApache, KafkaBest)
	}
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
	return server.Postgres{Bin: bin, Dir: postgresDir(dir), Port: ports[postgresPort], Launcher: t.Launcher}, nil
}

func postgresDir(dir string) string { return filepath.Join(dir, "postgres") }

func (t Tools) redis(ctx context.Context, dir string, ports Ports) (server.Redis, error) {
	path, err := t.Finder.Redis(ctx)
	if err != nil {
		return server.Redis{}, err
	}
	return server.Redis{Program: path, Dir: filepath.Join(dir, "redis"), Port: ports[redisPort]}, nil
}

func (t Tools) broker(ctx context.Context, kind, dir string, ports Ports) (broker, error) {
	data := filepath.Join(dir, "kafka")
	if kind == KafkaEmbedded {
		return server.EmbeddedKafka{Program: t.Self, Dir: data, Port: ports[kafkaPort]}, nil
	}
	found, err := t.Finder.Kafka(ctx)
	if err != nil {
		return nil, err
	}
	return server.ApacheKafka{
		Program: found, Dir: data, Port: ports[kafkaPort], ControllerPort: ports[kafkaController], Launcher: t.Launcher,
	}, nil
}
