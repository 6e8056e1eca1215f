// Package app is the composition root of todo-service: its settings, and the construction,
// order of shutdown and wiring of its parts.
package app

import (
	"cmp"
	"errors"
	"net/netip"
	"time"

	"example.com/todo/platform/config"
	"example.com/todo/platform/grpcserver"
	"example.com/todo/platform/httpserver"
	"example.com/todo/platform/kafka"
	"example.com/todo/platform/logging"
	"example.com/todo/platform/ops"
	"example.com/todo/platform/postgres"
	"example.com/todo/platform/redis"
	"example.com/todo/platform/tlsconfig"
	"example.com/todo/platform/tracing"
	"example.com/todo/todo-service/internal/pgstore"
	"example.com/todo/todo-service/internal/redisstore"
	"example.com/todo/todo-service/internal/watch"
	"example.com/todo/todo-service/internal/web"
)

// name is the name of the service in logs, metrics, traces and headers.
const name = "todo-service"

// Config holds every setting: those of the parts, and those of the service itself.
type Config struct {
	HTTP           httpserver.Config        `config:"http"`
	GRPC           grpcserver.Config        `config:"grpc"`
	Ops            ops.Config               `config:"ops"`
	Postgres       postgres.Config          `config:"postgres"`
	Redis          redis.Config             `config:"redis"`
	RedisCache     RedisCacheConfig         `config:"redis_cache"`
	Kafka          kafka.Config             `config:"kafka"`
	RateLimit      redisstore.LimiterConfig `config:"rate_limit"`
	Outbox         OutboxConfig             `config:"outbox"`
	Watch          watch.Config             `config:"watch"`
	Web            web.Config               `config:"web"`
	TrustedProxies []netip.Prefix           `config:"trusted_proxies"`

	MaxConnsPerClient int            `config:"max_conns_per_client"` // over HTTP and gRPC together, except of trusted proxies
	MaxInFlight       int            `config:"max_in_flight"`        // requests that may work on the database at once
	DrainWait         time.Duration  `config:"drain_wait"`
	Log               logging.Config `config:"log"`
	Tracing           tracing.Config `config:"tracing"`
}

// RedisCacheConfig is the Redis of list cache and rate limiter. Without an address they use
// the Redis of the durable state, and only KeyPrefix counts. Without a KeyPrefix they use
// the prefix of the durable state.
type RedisCacheConfig struct{ redis.Config }

// placeholderAddr makes a section without an address pass redis.Config.Validate.
const placeholderAddr = "unnamed:6379"

// Validate returns an error for a Redis that could not be used; an absent Redis is valid.
// Config.Validate checks the key prefix of a cluster, which this section may inherit.
func (c RedisCacheConfig) Validate() error {
	cfg := c.Config
	cfg.Addr = cmp.Or(cfg.Addr, placeholderAddr)
	cfg.KeyPrefix += "{-}"
	return cfg.Validate()
}

// OutboxConfig says how long the database keeps events.
type OutboxConfig struct {
	PurgeAfter time.Duration `config:"purge_after"` // 0: for ever
}

const (
	minPurgeAge = 48 * time.Hour // watchers resume after a day or so; writers whose response was lost look for their event for seconds
	maxPurgeAge = 100 * 365 * 24 * time.Hour
)

// Validate returns an error for an age at which events are still needed.
func (c OutboxConfig) Validate() error {
	return config.CheckRangeOrZero("purge_after", c.PurgeAfter, minPurgeAge, maxPurgeAge, "all events are kept")
}

const (
	minInFlight       = 8 // an eighth, the share of searches, is then one slot
	maxInFlight       = 1_000_000
	maxConnsPerClient = 1_000_000
	minDrainWait      = time.Millisecond
	maxDrainWait      = time.Hour // far above the check interval of any load balancer
)

// Validate checks the settings of the service itself, and those that depend on several
// sections: connections for the relay, and key prefixes of a cluster.
func (c Config) Validate() error {
	errs := []error{
		config.CheckRangeOrZero("drain_wait", c.DrainWait, minDrainWait, maxDrainWait, "no wait"),
		config.CheckRange("max_in_flight", c.MaxInFlight, minInFlight, maxInFlight),
		config.CheckRange("max_conns_per_client", c.MaxConnsPerClient, 1, maxConnsPerClient),
		config.CheckNetworks("trusted_proxies", c.TrustedProxies...),
	}
	if c.Postgres.MaxConns <= pgstore.RelayConns {
		errs = append(errs, config.Invalid("postgres.max_conns", "must be at least %d: the relay uses %d at a time", pgstore.RelayConns+1, pgstore.RelayConns))
	}
	cache, prefix := c.cacheRedis()
	key := "redis_cache.key_prefix"
	if prefix == c.Redis.KeyPrefix {
		key = "redis.key_prefix"
	}
	return errors.Join(append(errs, cache.CheckPrefix(key, prefix))...)
}

// cacheRedis returns the Redis of list cache and rate limiter, and the prefix of their keys.
func (c Config) cacheRedis() (servers redis.Config, prefix string) {
	servers = c.Redis
	if c.RedisCache.Addr != "" {
		servers = c.RedisCache.Config
	}
	return servers, cmp.Or(c.RedisCache.KeyPrefix, c.Redis.KeyPrefix)
}

// tlsEndpoints describes all listeners and clients of the service.
func (c Config) tlsEndpoints() []tlsconfig.Endpoint {
	endpoints := []tlsconfig.Endpoint{
		c.HTTP.TLSEndpoint("http"), c.GRPC.TLSEndpoint("grpc"), c.Ops.TLSEndpoint("ops"),
		c.Postgres.TLSEndpoint(), c.Redis.TLSEndpoint(), c.Kafka.TLSEndpoint(), c.Tracing.TLSEndpoint(),
	}
	if c.RedisCache.Addr != "" {
		endpoints = append(endpoints, c.RedisCache.TLSEndpoint())
	}
	return endpoints
}

// maxDescriptors returns the largest number of files that the service has open, without the
// connections of its clients.
func (c Config) maxDescriptors() int {
	const (
		files     = 16 // standard streams, listeners, DNS queries, connections about to be refused
		perBroker = 4  // connections: the producer's, its replacement, and those of checks
	)
	open := files + c.Postgres.MaxConns + 1 + c.Redis.MaxConns() + perBroker*len(c.Kafka.Brokers)
	if c.RedisCache.Addr != "" {
		open += c.RedisCache.MaxConns()
	}
	return open
}

// Defaults returns the settings for servers on the same machine.
func Defaults() Config {
	database := postgres.Defaults()
	database.DSN = "postgres://todo:todo@localhost:5432/todo?sslmode=disable"
	cache := redis.Defaults()
	cache.Addr = ""
	return Config{
		HTTP:       httpserver.Defaults(":8080"),
		GRPC:       grpcserver.Defaults(":50051"),
		Ops:        ops.Defaults(":9101"),
		Postgres:   database,
		Redis:      redis.Defaults(),
		RedisCache: RedisCacheConfig{cache},
		Kafka:      kafka.Defaults(name),
		RateLimit:  redisstore.LimiterConfig{Requests: 60, Window: time.Minute},
		Watch:      watch.Config{MaxWatchers: 10_000, MaxPerClient: 32},

		MaxConnsPerClient: 256,

		MaxInFlight: 1024,
		DrainWait:   3 * time.Second,
		Log:         logging.Config{Format: "auto"},
		Tracing:     tracing.Config{SampleRatio: 1},
	}
}

// Logging returns the settings of the logs.
func (c Config) Logging() logging.Config { return c.Log }

// Load returns the effective settings: the defaults, overridden by the file (none if
// empty), overridden by the environment ("KEY=value" each).
func Load(file string, environ []string) (Config, error) {
	cfg := Defaults()
	err := config.Load(&cfg, file, environ)
	return cfg, err
}
