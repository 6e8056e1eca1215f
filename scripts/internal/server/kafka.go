package server

import (
	"context"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kfake"

	"example.com/todo/platform/process"
	"example.com/todo/scripts/internal/port"
	"example.com/todo/scripts/internal/proc"
	"example.com/todo/scripts/internal/supervisor"
)

// requestTimeout bounds a request whose context has no deadline.
const requestTimeout = 10 * time.Second

// brokerArg is the first argument of a process that is the embedded Kafka.
const brokerArg = "kafka-embedded"

// EmbeddedKafka describes a Kafka broker written in Go, in a process of a program that calls RunIfBroker. It needs no
// Java, and writes every record to disk, in dir, before the acknowledgement.
func EmbeddedKafka(program, dir string, p int) supervisor.Part {
	addr := port.Addr(p)
	return supervisor.Part{
		Name:      "kafka",
		ReadyWhen: "the embedded broker on " + addr,
		Prepare:   func(context.Context) error { return os.MkdirAll(dir, 0o755) },
		Ready:     func(ctx context.Context) error { return checkKafka(ctx, addr) },
		Command: func() (proc.Command, error) {
			return proc.Command{Path: program, Args: []string{brokerArg, addr, dir}}, nil
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

// checkKafka returns nil if the broker responds and knows the cluster's controller.
func checkKafka(ctx context.Context, addr string) error {
	return withAdmin(ctx, addr, func(sarama.ClusterAdmin) error { return nil })
}

func withAdmin(ctx context.Context, addr string, do func(sarama.ClusterAdmin) error) error {
	admin, err := sarama.NewClusterAdmin([]string{addr}, clientConfig(ctx))
	if err != nil {
		return fmt.Errorf("reach Kafka on %s: %w", addr, err)
	}
	defer admin.Close()
	return do(admin)
}

// clientConfig configures a client for both kinds of broker.
func clientConfig(ctx context.Context) *sarama.Config {
	c := sarama.NewConfig()
	c.ClientID = "devstack"
	c.Version = sarama.V3_0_0_0
	c.Metadata.Retry.Max = 0
	wait := requestTimeout
	if deadline, ok := ctx.Deadline(); ok {
		wait = max(time.Until(deadline), time.Millisecond)
	}
	c.Net.DialTimeout, c.Net.ReadTimeout, c.Net.WriteTimeout = wait, wait, wait
	return c
}
