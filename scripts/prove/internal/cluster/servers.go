package cluster

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"

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

// Partitions is the number of partitions of the topics.
const Partitions = 6

// addServers adds the servers' nodes and proxies. Kafka advertises the proxy's address to clients
// that connect through the proxy.
func (c *Cluster) addServers(ctx context.Context) error {
	var err error
	if c.postgres, err = c.cfg.Tools.Postgres(ctx, c.data(), c.nextPort()); err != nil {
		return err
	}
	c.standby = c.postgres
	c.standby.Dir, c.standby.Port, c.standby.Primary = filepath.Join(c.data(), Standby), c.nextPort(), &c.postgres
	if c.redis, err = c.cfg.Tools.Redis(ctx, c.data(), c.nextPort()); err != nil {
		return err
	}
	c.cache = server.Redis{Program: c.redis.Program, Dir: filepath.Join(c.data(), RedisCache), Port: c.nextPort()}
	program, err := c.cfg.Tools.Finder.Kafka(ctx)
	if err != nil {
		return err
	}
	c.kafka = server.ApacheKafka{
		Program: program, Dir: filepath.Join(c.data(), Kafka), Port: c.nextPort(), ControllerPort: c.nextPort(),
		Launcher: c.cfg.Tools.Launcher,
	}
	behindProxy := c.nextAddr()
	for name, target := range map[string]string{
		Postgres: port.Addr(c.postgres.Port), Redis: c.redis.Addr(), RedisCache: c.cache.Addr(), Kafka: behindProxy,
	} {
		if c.proxies[name], err = netproxy.Listen(ctx, target); err != nil {
			return err
		}
	}
	c.kafka.More = kafkaSettings(c.kafka, behindProxy, c.proxies[Kafka].Addr())
	standby, cache := c.standby.Part(), c.cache.Part()
	standby.Name, cache.Name = Standby, RedisCache
	for _, part := range []supervisor.Part{c.postgres.Part(), standby, c.redis.Part(), cache, c.kafka.Part()} {
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

// PostgresDSN is the DSN of the application's database on the current primary, without the proxy.
func (c *Cluster) PostgresDSN() string {
	return fmt.Sprintf("postgres://%s:%s@127.0.0.1,127.0.0.1/%s?port=%d,%d&sslmode=disable&target_session_attrs=primary",
		server.AppUser, server.AppUser, server.AppUser, c.postgres.Port, c.standby.Port)
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

// ReplaceTopic deletes the topic of the events and creates it again.
func (c *Cluster) ReplaceTopic(ctx context.Context) error {
	return server.KafkaClient{Addr: c.kafka.Addr()}.ReplaceTopic(ctx, server.ServiceTopics(Partitions)[0])
}
