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

// The servers.
const (
	Postgres   = "postgres"
	Redis      = "redis"
	RedisCache = "redis-cache"
	Kafka      = "kafka"
)

// Servers are the servers, which are also the links' names.
var Servers = []string{Postgres, Redis, RedisCache, Kafka}

// Standby is the second server of the database, which runs from AddStandby on.
const Standby = "postgres-standby"

// IsServer tells whether a member is a server and not one of the services.
func IsServer(member string) bool { return member == Standby || slices.Contains(Servers, member) }

// The application's user, password and database.
const (
	account  = "todo"
	database = "todo"
)

// Topics that the services expect, and what they are made with.
const (
	Partitions = 6
	topicBytes = 1 << 20
	dlqBytes   = topicBytes + 64<<10
)

var eventsTopic = server.Topic{Name: event.Topic, Partitions: Partitions, MaxBytes: topicBytes}

// renamedPart gives a part another name: there are two Redis servers.
type renamedPart struct {
	supervisor.Part
	name string
}

func (n renamedPart) Name() string { return n.name }

// addServers makes the servers' members and links. Kafka tells those that come over the link to come
// back over the link.
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

// kafkaSettings add a listener whose clients are told to come to another address. The broker stamps
// records itself, so that their times are those of one clock and one place.
func kafkaSettings(k server.ApacheKafka, linked, advertised string) []string {
	return []string{
		"listeners=BROKER://" + k.Addr() + ",LINKED://" + linked + ",CONTROLLER://" + port.Addr(k.ControllerPort),
		"advertised.listeners=BROKER://" + k.Addr() + ",LINKED://" + advertised,
		"listener.security.protocol.map=BROKER:PLAINTEXT,LINKED:PLAINTEXT,CONTROLLER:PLAINTEXT",
		"log.message.timestamp.type=LogAppendTime",
		// A broker that was killed is let in again when its old session is over.
		"broker.session.timeout.ms=3000",
		"broker.heartbeat.interval.ms=1000",
	}
}

func (s *Cluster) dsn(port int) string {
	return server.Postgres{Port: port}.DSN(account, account, database)
}

// PostgresDSN leads to the application's database, without a link, on whichever server is the primary.
func (s *Cluster) PostgresDSN() string {
	return fmt.Sprintf("postgres://%s:%s@127.0.0.1,127.0.0.1/%s?port=%d,%d&sslmode=disable&target_session_attrs=primary",
		account, account, database, s.postgres.Port, s.standby.Port)
}

// RedisAddr is the address of a Redis server, without a link.
func (s *Cluster) RedisAddr(name string) string {
	if name == RedisCache {
		return s.cache.Addr()
	}
	return s.redis.Addr()
}

// Brokers are Kafka's addresses, without a link.
func (s *Cluster) Brokers() []string { return []string{s.kafka.Addr()} }

func (s *Cluster) data(name string) string { return filepath.Join(s.cfg.Dir, "data", name) }
func (s *Cluster) bin() string             { return filepath.Join(s.cfg.Dir, "bin") }
func (s *Cluster) log() string             { return filepath.Join(s.cfg.Dir, "log") }
