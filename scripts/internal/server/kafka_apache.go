package server

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"example.com/todo/scripts/internal/binaries"
	"example.com/todo/scripts/internal/port"
	"example.com/todo/scripts/internal/proc"
	"example.com/todo/scripts/internal/supervisor"
)

// clusterID is an id in Kafka's form, base64 of 16 bytes. No cluster meets another one.
const clusterID = "dG9kby1kZXZzdGFjay0wMQ"

// ApacheKafka is the real Kafka: one node that is broker and controller (KRaft).
type ApacheKafka struct {
	Program        binaries.Kafka
	Dir            string // the node's data and settings
	Port           int
	ControllerPort int
	Launcher       *proc.Launcher // formats the data folder
	Security       *Security
	More           []string // further settings, key=value, which override the others
}

// Addr is the address clients use.
func (k ApacheKafka) Addr() string { return port.Addr(k.Port) }

func (k ApacheKafka) client() KafkaClient {
	return KafkaClient{Addr: k.Addr(), Security: k.Security}
}

// Part describes the node's process.
func (k ApacheKafka) Part() supervisor.Part {
	return supervisor.Part{
		Name:      "kafka",
		ReadyWhen: "the broker and the controller on " + k.Addr(),
		Prepare:   k.prepare,
		Ready:     k.client().check,
		Command: func() (proc.Command, error) {
			return proc.Command{Path: k.Program.Java, Args: k.javaArgs("kafka.Kafka", k.propertiesPath()), Dir: k.Dir}, nil
		},
	}
}

// prepare writes the node's settings and formats its data folder before the first start.
func (k ApacheKafka) prepare(ctx context.Context) error {
	if err := os.MkdirAll(k.Dir, 0o755); err != nil {
		return err
	}
	if err := k.writeSettings(); err != nil {
		return fmt.Errorf("write Kafka's settings: %w", err)
	}
	if _, err := os.Stat(filepath.Join(k.logDir(), "meta.properties")); err == nil {
		return nil
	}
	return k.Launcher.Run(ctx, proc.Command{
		Path: k.Program.Java,
		Args: k.javaArgs("kafka.tools.StorageTool", "format", "--config", k.propertiesPath(),
			"--cluster-id", clusterID, "--ignore-formatted"),
	})
}

// javaArgs configures the JVM for a quick start and little memory.
func (k ApacheKafka) javaArgs(class string, args ...string) []string {
	return append([]string{
		"-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", k.Program.Classpath,
		"-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dorg.slf4j.simpleLogger.log.kafka.server=info",
		"-Dorg.slf4j.simpleLogger.showDateTime=true", "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
		class,
	}, args...)
}

func (k ApacheKafka) propertiesPath() string { return filepath.Join(k.Dir, "server.properties") }
func (k ApacheKafka) logDir() string         { return filepath.Join(k.Dir, "log") }

func (k ApacheKafka) propertiesText() string {
	controller := port.Addr(k.ControllerPort)
	return strings.Join(append([]string{
		"process.roles=broker,controller",
		"node.id=1",
		"controller.quorum.voters=1@" + controller,
		"controller.listener.names=CONTROLLER",
		"listeners=BROKER://" + k.Addr() + ",CONTROLLER://" + controller,
		"advertised.listeners=BROKER://" + k.Addr(),
		"inter.broker.listener.name=BROKER",
		"listener.security.protocol.map=BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT",
		"log.dirs=" + strings.ReplaceAll(k.logDir(), `\`, `\\`),
		"auto.create.topics.enable=false",
		"offsets.topic.replication.factor=1",
		"offsets.topic.num.partitions=5",
		// One year. A group without its committed offsets would handle every record again.
		"offsets.retention.minutes=525600",
		"transaction.state.log.replication.factor=1",
		"transaction.state.log.min.isr=1",
		"transaction.state.log.num.partitions=5",
		"group.initial.rebalance.delay.ms=0",
		"log.cleaner.dedupe.buffer.size=16777216",
	}, append(k.securityProperties(), k.More...)...), "\n") + "\n"
}
