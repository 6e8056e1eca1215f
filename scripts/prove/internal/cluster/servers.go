package cluster

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"

	"example.com/todo/contracts/event"
	"example.com/todo/scripts/internal/port"
	"example.com/todo/scripts/internal/server"
	"example.com/todo/scripts/internal/supervisor"
	"example.com/todo/scripts/prove/internal/link"
)

// The names of the servers.
const (
	Postgres   = "postgres"
	Redis      = "redis"
	RedisCache = "redis-cache"
	Kafka      = "kafka"
)

// Servers are the names of the servers with a proxy.
var Servers = []string{Postgres, Redis, RedisCache, Kafka}

// Standby is the name of the database's second server, which runs after AddStandby.
const Standby = "postgres-standby"

// IsServer reports whether the node is a server, rather than a replica of a service.
func IsServer(member string) bool { return member == Standby || slices.Contains(Servers, member) }

// The application's user, password and database.
const (
	account  = "todo"
	database = "todo"
)

// The topics' settings, which the services expect.
const (
	Partitions = 6
	topicBytes = 1 << 20
	dlqBytes   = topicBytes + 64<<10
)

var eventsTopic = server.Topic{Name: event.Topic, Partitions: Partitions, MaxBytes: topicBytes}

// renamedPart gives a part another name, because there are two Redis servers.
type renamedPart struct {
	supervisor.Part
	name string
}

func (n renamedPart) Name() string { return n.name }

// addServers adds the servers' nodes and proxies. Kafka advertises the proxy's address to clients
// that connect through the proxy.
func (s *Cluster) addServers(ctx context.Context, take func() int) error {
	finder := s.cfg.Tools.Finder
	bin, err := finder.Postgres(ctx)
	if err != nil {
		return err
	}
	redis, err := finder.Redis(ctx)
	if err != nil {
		return err
	}
	kafka, err := finder.Kafka(ctx)
	if err != nil {
		return err
	}
	s.postgres = server.Postgres{Bin: bin, Dir: s.data(Postgres), Port: take(), Launcher: s.cfg.Tools.Launcher}
	s.standby = server.Postgres{Bin: bin, Dir: s.data(Standby), Port: take(), Launcher: s.cfg.Tools.Launcher, Primary: &s.postgres}
	s.redis = server.Redis{Program: redis, Dir: s.data(Redis), Port: take()}
	s.cache = server.Redis{Program: redis, Dir: s.data(RedisCache), Port: take()}
	s.kafka = server.ApacheKafka{
		Program: kafka, Dir: s.data(Kafka), Port: take(), ControllerPort: take(), Launcher: s.cfg.Tools.Launcher,
	}
	linked := port.Addr(take())
	targets := map[string]string{
		Postgres: port.Addr(s.postgres.Port), Redis: s.redis.Addr(), RedisCache: s.cache.Addr(), Kafka: linked,
	}
	for name, target := range targets {
		if s.links[name], err = link.Listen(ctx, target); err != nil {
			return err
		}
	}
	s.kafka.More = kafkaSettings(s.kafka, linked, s.links[Kafka].Addr())
	for _, part := range []supervisor.Part{s.postgres, renamedPart{s.standby, Standby}, s.redis, renamedPart{s.cache, RedisCache}, s.kafka} {
		s.addNode(part)
	}
	return nil
}

// kafkaSettings adds a listener that advertises the proxy's address. The broker stamps the
// records, so that all timestamps come from one clock.
func kafkaSettings(k server.ApacheKafka, linked, advertised string) []string {
	return []string{
		"listeners=BROKER://" + k.Addr() + ",LINKED://" + linked + ",CONTROLLER://" + port.Addr(k.ControllerPort),
		"advertised.listeners=BROKER://" + k.Addr() + ",LINKED://" + advertised,
		"listener.security.protocol.map=BROKER:PLAINTEXT,LINKED:PLAINTEXT,CONTROLLER:PLAINTEXT",
		"log.message.timestamp.type=LogAppendTime",
		// A killed broker may only return after its old session has expired.
		"broker.session.timeout.ms=3000",
		"broker.heartbeat.interval.ms=1000",
	}
}

func (s *Cluster) dsn(port int) string {
	return server.Postgres{Port: port}.DSN(account, account, database)
}

// PostgresDSN is the DSN of the application's database on the current primary, without the proxy.
func (s *Cluster) PostgresDSN() string {
	return fmt.Sprintf("postgres://%s:%s@127.0.0.1,127.0.0.1/%s?port=%d,%d&sslmode=disable&target_session_attrs=primary",
		account, account, database, s.postgres.Port, s.standby.Port)
}

// RedisAddr is the address of a Redis server, without the proxy.
func (s *Cluster) RedisAddr(name string) string {
	if name == RedisCache {
		return s.cache.Addr()
	}
	return s.redis.Addr()
}

// Brokers are Kafka's addresses, without the proxy.
func (s *Cluster) Brokers() []string { return []string{s.kafka.Addr()} }

func (s *Cluster) data(name string) string { return filepath.Join(s.cfg.Dir, "data", name) }
func (s *Cluster) bin() string             { return filepath.Join(s.cfg.Dir, "bin") }
func (s *Cluster) log() string             { return filepath.Join(s.cfg.Dir, "log") }
