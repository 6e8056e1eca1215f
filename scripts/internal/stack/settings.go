package stack

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"example.com/todo/contracts/event"
	"example.com/todo/scripts/internal/server"
)

// appAccount is the application's user, password and database in PostgreSQL, which listens on 127.0.0.1 only.
const appAccount = "todo"

const (
	defaultPartitions = 6
	topicBytes        = 1 << 20
	// dlqBytes adds room for a dead letter's headers to a record of full size.
	dlqBytes = topicBytes + 64<<10
)

// Settings say which stack to run.
type Settings struct {
	Root    string   // the repository
	Dir     string   // the stack's folder: data, logs, built programs
	Kafka   string   // toolchain.KafkaEmbedded or toolchain.KafkaApache
	Ports   Ports    //
	Environ []string // of the services; the stack's own addresses override it
}

func (s Settings) data() string { return dataDir(s.Dir, s.Kafka) }
func (s Settings) bin() string  { return filepath.Join(s.Dir, "bin") }
func (s Settings) log() string  { return logDir(s.Dir) }

// dataDir is a folder for each kind of Kafka, with the data of PostgreSQL and Redis beside it. Cursors,
// stored offsets and counters belong to one Kafka log and are wrong for another.
func dataDir(dir, kafka string) string { return filepath.Join(dir, kafka) }

func logDir(dir string) string { return filepath.Join(dir, "log") }

// getenv reads a variable of Environ. Of duplicates, the last one counts.
func (s Settings) getenv(name string) string {
	for _, entry := range slices.Backward(s.Environ) {
		if value, found := strings.CutPrefix(entry, name+"="); found {
			return value
		}
	}
	return ""
}

func (s Settings) partitions() (int, error) {
	text := s.getenv("KAFKA_PARTITIONS")
	if text == "" {
		return defaultPartitions, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("KAFKA_PARTITIONS=%s: must be a number above 0", text)
	}
	return n, nil
}

func (s Settings) topics() ([]server.Topic, error) {
	n, err := s.partitions()
	if err != nil {
		return nil, err
	}
	return []server.Topic{
		{Name: event.Topic, Partitions: n, MaxBytes: topicBytes},
		{Name: event.DLQTopic, Partitions: n, MaxBytes: dlqBytes},
	}, nil
}

// addresses are the settings of all services that override Environ.
func (s Settings) addresses() []string {
	dsn := server.Postgres{Port: s.Ports[postgresPort]}.DSN(appAccount, appAccount, appAccount)
	return []string{
		"POSTGRES_DSN=" + dsn,
		"REDIS_ADDR=" + s.Ports.Addr(redisPort),
		"KAFKA_BROKERS=" + s.Ports.Addr(kafkaPort),
	}
}

// service describes a service of this stack.
func (s Settings) service(name string) service {
	own := map[string][]string{
		todoService:         {"HTTP_ADDR=" + s.Ports.Addr(todoHTTP), "GRPC_ADDR=" + s.Ports.Addr(todoGRPC)},
		statsService:        {"HTTP_ADDR=" + s.Ports.Addr(statsHTTP)},
		notificationService: nil,
	}
	ops := map[string]listener{todoService: todoOps, statsService: statsOps, notificationService: notificationOps}
	env := append([]string{"LOG_FORMAT=text", "DRAIN_WAIT=0s"}, s.Environ...) // there is no load balancer to wait for
	env = append(env, s.addresses()...)
	env = append(env, own[name]...)
	env = append(env, "OPS_ADDR="+s.Ports.Addr(ops[name]))
	return service{name: name, bin: s.bin(), ops: s.Ports.Addr(ops[name]), env: env}
}
