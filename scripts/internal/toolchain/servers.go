package toolchain

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"example.com/todo/scripts/internal/server"
	"example.com/todo/scripts/internal/supervisor"
)

// The kinds of Kafka.
const (
	KafkaEmbedded = "embedded" // written in Go, needs nothing
	KafkaApache   = "apache"   // the real Kafka, needs Java 17
	KafkaBest     = "best"     // apache where Java 17 is, otherwise embedded
)

// ChooseKafka resolves the requested kind to KafkaEmbedded or KafkaApache. For KafkaBest without Java it
// prints why the embedded Kafka is used; in CI that is an error.
func (t Tools) ChooseKafka(ctx context.Context, requested string) (kind string, err error) {
	switch requested {
	case KafkaEmbedded, KafkaApache:
		return requested, nil
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
		return "", fmt.Errorf("unknown Kafka %q: must be %s, %s or %s", requested, KafkaEmbedded, KafkaApache, KafkaBest)
	}
}

// Postgres describes a PostgreSQL server whose data is in a folder of dir.
func (t Tools) Postgres(ctx context.Context, dir string, port int) (server.Postgres, error) {
	bin, err := t.Finder.Postgres(ctx)
	if err != nil {
		return server.Postgres{}, err
	}
	return server.Postgres{Bin: bin, Dir: postgresDir(dir), Port: port, Launcher: t.Launcher}, nil
}

func postgresDir(dir string) string { return filepath.Join(dir, "postgres") }

// Redis describes a Redis server whose data is in a folder of dir.
func (t Tools) Redis(ctx context.Context, dir string, port int) (server.Redis, error) {
	path, err := t.Finder.Redis(ctx)
	if err != nil {
		return server.Redis{}, err
	}
	return server.Redis{Program: path, Dir: filepath.Join(dir, "redis"), Port: port}, nil
}

// Kafka describes a broker of a kind whose data is in a folder of dir.
func (t Tools) Kafka(ctx context.Context, kind, dir string, listener server.KafkaListener) (supervisor.Part, error) {
	data := filepath.Join(dir, "kafka")
	if kind == KafkaEmbedded {
		return server.EmbeddedKafka(t.Self, data, listener), nil
	}
	found, err := t.Finder.Kafka(ctx)
	if err != nil {
		return supervisor.Part{}, err
	}
	return server.ApacheKafka{
		Program: found, Dir: data, Port: listener.Port, ControllerPort: listener.ControllerPort,
		Launcher: t.Launcher, Security: listener.Security,
	}.Part(), nil
}

// RemoveData deletes dir and the data of every server in it. PostgreSQL's data may be elsewhere, behind a
// link in dir.
func RemoveData(dir string) error {
	if err := (server.Postgres{Dir: postgresDir(dir)}).Remove(); err != nil {
		return err
	}
	return os.RemoveAll(dir)
}
