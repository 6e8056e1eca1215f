package server

import (
	"context"
	"fmt"
	"net"
	"os"

	"github.com/twmb/franz-go/pkg/kfake"

	"example.com/todo/platform/process"
	"example.com/todo/scripts/internal/port"
	"example.com/todo/scripts/internal/proc"
	"example.com/todo/scripts/internal/supervisor"
)

// brokerArg is the first argument of a process that is the embedded Kafka.
const brokerArg = "kafka-embedded"

// KafkaListener is where a broker listens, and how.
type KafkaListener struct {
	Port           int
	ControllerPort int // of the real Kafka only
	Security       *Security
}

// EmbeddedKafka describes a Kafka broker written in Go, in a process of a program that calls RunIfBroker. It needs no
// Java, and writes every record to disk, in dir, before the acknowledgement.
func EmbeddedKafka(program, dir string, listener KafkaListener) supervisor.Part {
	client := KafkaClient{Addr: port.Addr(listener.Port), Security: listener.Security}
	return supervisor.Part{
		Name:      "kafka",
		ReadyWhen: "the embedded broker on " + client.Addr,
		Prepare:   func(context.Context) error { return prepareEmbeddedKafka(dir, listener.Security) },
		Ready:     client.check,
		Command: func() (proc.Command, error) {
			return proc.Command{Path: program, Args: []string{brokerArg, client.Addr, dir}}, nil
		},
	}
}

// RunIfBroker runs the embedded Kafka until a stop signal, if EmbeddedKafka describes this process. Otherwise it
// returns false at once.
func RunIfBroker() (bool, error) {
	if len(os.Args) != 4 || os.Args[1] != brokerArg {
		return false, nil
	}
	ctx, stop := process.Context()
	defer stop()
	return true, runEmbeddedKafka(ctx, os.Args[2], os.Args[3])
}

// runEmbeddedKafka serves on addr (host:port) until ctx ends. It keeps its log in dir.
func runEmbeddedKafka(ctx context.Context, addr, dir string) error {
	tcp, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return err
	}
	options := []kfake.Opt{
		kfake.Ports(tcp.Port), kfake.DataDir(dir), kfake.SyncWrites(), kfake.ClusterID("todo-devstack"),
		kfake.WithLogger(kfake.BasicLogger(os.Stderr, kfake.LogLevelWarn)),
	}
	secure, err := embeddedSecurity(dir)
	if err != nil {
		return err
	}
	cluster, err := kfake.NewCluster(append(options, secure...)...)
	if err != nil {
		return fmt.Errorf("start the embedded Kafka on %s with data in %s: %w", addr, dir, err)
	}
	<-ctx.Done()
	cluster.Close()
	return nil
}
