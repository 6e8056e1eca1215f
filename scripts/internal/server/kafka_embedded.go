package server

import (
	"context"
	"fmt"
	"net"
	"os"

	"github.com/twmb/franz-go/pkg/kfake"

	"example.com/todo/scripts/internal/port"
	"example.com/todo/scripts/internal/proc"
)

// EmbeddedKafka is a Kafka broker written in Go, in its own process. It needs no Java, and writes every
// record to disk before the acknowledgement.
type EmbeddedKafka struct {
	Program string // path of devstack, which is also the broker
	Dir     string // the broker's data
	Port    int
}

// Name is the part's name.
func (k EmbeddedKafka) Name() string { return "kafka" }

// ReadyWhen names the condition of Ready.
func (k EmbeddedKafka) ReadyWhen() string { return "the embedded broker on " + k.Addr() }

// Addr is the address clients use.
func (k EmbeddedKafka) Addr() string { return port.Addr(k.Port) }

// Prepare creates the data folder.
func (k EmbeddedKafka) Prepare(context.Context) error { return os.MkdirAll(k.Dir, 0o755) }

// Ready returns nil if the broker responds.
func (k EmbeddedKafka) Ready(ctx context.Context) error { return kafkaClient{k.Addr()}.Ready(ctx) }

// Command describes the broker's process, which calls RunEmbeddedKafka.
func (k EmbeddedKafka) Command() (proc.Command, error) {
	return proc.Command{
		Path: k.Program,
		Args: []string{"kafka-embedded", "--addr", k.Addr(), "--data", k.Dir},
	}, nil
}

// RunEmbeddedKafka serves on addr (host:port) until ctx ends. It keeps its log in dir.
func RunEmbeddedKafka(ctx context.Context, addr, dir string) error {
	tcp, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return err
	}
	cluster, err := kfake.NewCluster(
		kfake.Ports(tcp.Port), kfake.DataDir(dir), kfake.SyncWrites(), kfake.ClusterID("todo-devstack"),
		kfake.WithLogger(kfake.BasicLogger(os.Stderr, kfake.LogLevelWarn)),
	)
	if err != nil {
		return fmt.Errorf("start the embedded Kafka on %s with data in %s: %w", addr, dir, err)
	}
	<-ctx.Done()
	cluster.Close()
	return nil
}
