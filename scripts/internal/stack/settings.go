package stack

import (
	"crypto/x509"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"example.com/todo/scripts/internal/server"
	"example.com/todo/scripts/internal/startup"
	"example.com/todo/scripts/internal/supervisor"
)

// The services.
const (
	todoService         = "todo-service"
	statsService        = "stats-service"
	notificationService = "notification-service"
)

// services are in the order in which they start.
var services = []string{todoService, statsService, notificationService}

// PartNames lists the names of a stack's parts.
func PartNames() string {
	return strings.Join(append([]string{"postgres", "redis", "kafka"}, services...), ", ")
}

const defaultPartitions = 6

// Settings say which stack to run.
type Settings struct {
	Root    string   // the repository
	Dir     string   // the stack's folder: data, logs, built programs
	Kafka   string   // toolchain.KafkaEmbedded or toolchain.KafkaApache
	Ports   Ports    //
	Secure  bool     // with sign-in, TLS, and a user of each server for each service
	Environ []string // of the services; the stack's own addresses override it

	security *security // of a secure stack that starts
}

// data is a folder for each kind of Kafka, with the data of PostgreSQL and Redis beside it. Cursors, stored
// offsets and counters belong to one Kafka log and are wrong for another. The tasks of a secure stack have owners.
func (s Settings) data() string {
	if s.Secure {
		return filepath.Join(s.Dir, s.Kafka+"-secure")
	}
	return filepath.Join(s.Dir, s.Kafka)
}
func (s Settings) bin() string { return filepath.Join(s.Dir, "bin") }
func (s Settings) log() string { return filepath.Join(s.Dir, "log") }

// getenv reads a variable of Environ. Of duplicates, the last one counts.
func (s Settings) getenv(name string) string {
	for _, entry := range slices.Backward(s.Environ) {
		if value, found := strings.CutPrefix(entry, name+"="); found {
			return value
		}
	}
	return ""
}

func (s Settings) topics() ([]server.Topic, error) {
	text := s.getenv("KAFKA_PARTITIONS")
	if text == "" {
		return server.ServiceTopics(defaultPartitions), nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return nil, fmt.Errorf("KAFKA_PARTITIONS=%s: must be a number above 0", text)
	}
	return server.ServiceTopics(n), nil
}

// addresses are the settings of all services that override Environ.
func (s Settings) addresses() []string {
	return []string{
		"POSTGRES_DSN=" + server.Postgres{Port: s.Ports[postgresPort]}.DSN(),
		"REDIS_ADDR=" + s.Ports.Addr(redisPort),
		"KAFKA_BROKERS=" + s.Ports.Addr(kafkaPort),
	}
}

func (s Settings) scheme() string {
	if s.Secure {
		return "https"
	}
	return "http"
}

// pageSettings are the settings of a service with which the page gets the statistics from stats-service.
func (s Settings) pageSettings(name string) []string {
	switch name {
	case todoService:
		return []string{fmt.Sprintf("WEB_STATS_URL=%s://localhost:%d", s.scheme(), s.Ports["STATS_HTTP_PORT"])}
	case statsService:
		port := ""
		if n := s.Ports["TODO_HTTP_PORT"]; n != map[string]int{"http": 80, "https": 443}[s.scheme()] { // which browsers leave out
			port = fmt.Sprintf(":%d", n)
		}
		return []string{fmt.Sprintf("HTTP_CORS_ORIGINS=%[1]s://localhost%[2]s,%[1]s://127.0.0.1%[2]s", s.scheme(), port)}
	}
	return nil
}

// service describes a service of this stack.
func (s Settings) service(name string) supervisor.Part {
	env := []string{"LOG_FORMAT=text", "DRAIN_WAIT=0s"} // there is no load balancer to wait for
	if s.Secure {
		env = append(env, "AUTH_SIGNUP=open")
	}
	env = append(env, s.pageSettings(name)...)
	env = append(env, s.Environ...)
	env = append(env, s.addresses()...)
	var authorities *x509.CertPool
	if s.security != nil {
		env = append(env, s.security.settings(name)...)
		authorities = s.security.authorities
	}
	var ops string
	for _, l := range listeners {
		if l.part != name {
			continue
		}
		addr := s.Ports.Addr(l.variable)
		env = append(env, strings.ToUpper(l.what)+"_ADDR="+addr)
		if l.what == "ops" {
			ops = addr
		}
	}
	return startup.Service(name, filepath.Join(s.bin(), name), ops, authorities, env)
}
