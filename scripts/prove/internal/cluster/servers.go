package cluster

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"

	"example.com/todo/contracts/event"
	"example.com/todo/platform/testenv/netproxy"
	"example.com/todo/scripts/internal/port"
	"example.com/todo/scripts/internal/server"
	"example.com/todo/scripts/internal/supervisor"
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
func IsServer(node string) bool { return node == Standby || slices.Contains(Servers, node) }

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
func (c *Cluster) addServers(ctx context.Context, nextPort func() int) error {
	finder := c.cfg.Tools.Finder
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
	c.postgres = server.Postgres{Bin: bin, Dir: c.data(Postgres), Port: nextPort(), Launcher: c.cfg.Tools.Launcher}
	c.standby = server.Postgres{Bin: bin, Dir: c.data(Standby), Port: nextPort(), Launcher: c.cfg.Tools.Launcher, Primary: &c.postgres}
	c.redis = server.Redis{Program: redis, Dir: c.data(Redis), Port: nextPort()}
	c.cache = server.Redis{Program: redis, Dir: c.data(RedisCache), Port: nextPort()}
	c.kafka = server.ApacheKafka{
		Program: kafka, Dir: c.data(Kafka), Port: nextPort(), ControllerPort: nextPort(), Launcher: c.cfg.Tools.Launcher,
	}
	behindProxy := port.Addr(nextPort())
	targets := map[string]string{
		Postgres: port.Addr(c.postgres.Port), Redis: c.redis.Addr(), RedisCache: c.cache.Addr(), Kafka: behindProxy,
	}
	for name, target := range targets {
		if c.proxies[name], err = netproxy.Listen(ctx, target); err != nil {
			return err
		}
	}
	c.kafka.More = kafkaSettings(c.kafka, behindProxy, c.proxies[Kafka].Addr())
	for _, part := range []supervisor.Part{c.postgres, renamedPart{c.standby, Standby}, c.redis, renamedPart{c.cache, RedisCache}, c.kafka} {
		c.addNode(part)
	}
	return nil
}

// kafkaSettings adds a listener that advertises the proxy's address. The broker stamps the
// records, so that all timestamps come from one clock.
func kafkaSettings(k server.ApacheKafka, behindProxy, advertised string) []string {
	return []string{
		"listeners=BROKER://" + k.Addr() + ",LINKED://" + behindProxy + ",CONTROLLER://" + port.Addr(k.ControllerPort),
		"advertised.listeners=BROKER://" + k.Addr() + ",LINKED://" + advertised,
		"listener.security.protocol.map=BROKER:PLAINTEXT,LINKED:PLAINTEXT,CONTROLLER:PLAINTEXT",
		"log.message.timestamp.type=LogAppendTime",
		// A killed broker may only return after its old session has expired.
		"broker.session.timeout.ms=3000",
		"broker.heartbeat.interval.ms=1000",
	}
}

func (c *Cluster) dsn(port int) string {
	return server.Postgres{Port: port}.DSN(account, account, database)
}

// PostgresDSN is the DSN of the application's database on the current primary, without the proxy.
func (c *Cluster) PostgresDSN() string {
	return fmt.Sprintf("postgres://%s:%s@127.0.0.1,127.0.0.1/%s?port=%d,%d&sslmode=disable&target_session_attrs=primary",
		account, account, database, c.postgres.Port, c.standby.Port)
}

// RedisAddr is the address of a Redis server, without the proxy.
func (c *Cluster) RedisAddr(name string) string {
	if name == RedisCache {
		return c.cache.Addr()
	}
	return c.redis.Addr()
}

// Brokers are Kafka's addresses, without the proxy.
func (c *Cluster) Brokers() []string { return []string{c.kafka.Addr()} }

func (c *Cluster) data(name string) string { return filepath.Join(c.cfg.Dir, "data", name) }
func (c *Cluster) bin() string             { return filepath.Join(c.cfg.Dir, "bin") }
func (c *Cluster) log() string             { return filepath.Join(c.cfg.Dir, "log") }
