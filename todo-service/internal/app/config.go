// Package app is the wiring diagram of todo-service: its settings, and how its
// parts are put together.
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
	"example.com/todo/platform/tracing"
	"example.com/todo/todo-service/internal/pgstore"
	"example.com/todo/todo-service/internal/watch"
)

// name is what the service is called in logs, metrics, traces and headers.
const name = "todo-service"

// Config holds every setting: the parts' own, and few of the service's.
type Config struct {
	HTTP           httpserver.Config `config:"http"`
	GRPC           grpcserver.Config `config:"grpc"`
	Ops            ops.Config        `config:"ops"`
	Postgres       postgres.Config   `config:"postgres"`
	Redis          redis.Config      `config:"redis"`
	RedisCache     RedisCacheConfig  `config:"redis_cache"`
	Kafka          kafka.Config      `config:"kafka"`
	RateLimit      RateLimitConfig   `config:"rate_limit"`
	Outbox         OutboxConfig      `config:"outbox"`
	Watch          watch.Config      `config:"watch"`
	TrustedProxies []netip.Prefix    `config:"trusted_proxies"`

	MaxConnsPerClient int            `config:"max_conns_per_client"` // over HTTP and gRPC together, except of trusted proxies
	MaxInFlight       int            `config:"max_in_flight"`        // requests that may work on the database at once
	DrainWait         time.Duration  `config:"drain_wait"`
	Log               logging.Config `config:"log"`
	Tracing           tracing.Config `config:"tracing"`
}

// RedisCacheConfig says where the list cache and the rate limiter live. Without
// an address that is where everything else of Redis lives, and only KeyPrefix
// counts. Without a KeyPrefix it is that of everything else.
type RedisCacheConfig struct{ redis.Config }

// placeholderAddr is an address with which a section is valid that has none.
const placeholderAddr = "unnamed:6379"

// Validate refuses a server that could not be used; none at all is fine. Under which
// prefix a cluster's keys are is for the validation of the whole Config, which knows it.
func (c RedisCacheConfig) Validate() error {
	cfg := c.Config
	cfg.Addr = cmp.Or(cfg.Addr, placeholderAddr)
	cfg.KeyPrefix += "{-}"
	return cfg.Validate()
}

// RateLimitConfig bounds what one client address may ask.
type RateLimitConfig struct {
	Requests int           `config:"requests"` // in any window
	Window   time.Duration `config:"window"`
}

const (
	maxRequests = 1_000_000_000 // more than one address can send in a window
	minWindow   = time.Second
	maxWindow   = 24 * time.Hour
)

// Validate refuses a limit that would let nobody in, or that has no window.
func (c RateLimitConfig) Validate() error {
	return errors.Join(
		config.CheckRange("requests", c.Requests, 1, maxRequests),
		config.CheckRange("window", c.Window, minWindow, maxWindow),
	)
}

// OutboxConfig says how long events stay in the database.
type OutboxConfig struct {
	PurgeAfter time.Duration `config:"purge_after"` // 0: for ever
}

// minPurgeAge is for how long events are needed: by watchers that come back after a
// day or so, and, for moments, by writers whose answer was lost.
const (
	minPurgeAge = 48 * time.Hour
	maxPurgeAge = 100 * 365 * 24 * time.Hour
)

// Validate refuses an age at which events are still needed.
func (c OutboxConfig) Validate() error {
	return config.CheckRangeOrZero("purge_after", c.PurgeAfter, minPurgeAge, maxPurgeAge, "all events are kept")
}

const (
	minInFlight       = 8 // each kind of request has a share
	maxInFlight       = 1_000_000
	maxConnsPerClient = 1_000_000 // of one client
	minDrainWait      = time.Millisecond
	maxDrainWait      = time.Hour // longer than load balancers look
)

// Validate refuses a wait that cannot be meant, bounds that leave some no room, networks
// that are none, and keys that a cluster would scatter.
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

// cacheRedis returns where the list cache and the rate limiter live, and the prefix of their keys.
func (c Config) cacheRedis() (servers redis.Config, prefix string) {
	servers = c.Redis
	if c.RedisCache.Addr != "" {
		servers = c.RedisCache.Config
	}
	return servers, cmp.Or(c.RedisCache.KeyPrefix, c.Redis.KeyPrefix)
}

// maxDescriptors returns how many files the service has open at most beside the
// connections of its clients.
func (c Config) maxDescriptors() int {
	const (
		files     = 16 // standard streams, listeners, name lookups, connections that are about to be refused
		perBroker = 4  // the producer's connection, and those of checks and of one that takes its place
	)
	open := files + c.Postgres.MaxConns + 1 + c.Redis.MaxConns() + perBroker*len(c.Kafka.Brokers)
	if c.RedisCache.Addr != "" {
		open += c.RedisCache.MaxConns()
	}
	return open
}

// Defaults returns the settings of a service that runs beside its servers on one machine.
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
		RateLimit:  RateLimitConfig{Requests: 60, Window: time.Minute},
		Watch:      watch.Config{MaxWatchers: 10_000, MaxPerClient: 32},

		MaxConnsPerClient: 256,

		MaxInFlight: 1024,
		DrainWait:   3 * time.Second,
		Log:         logging.Config{Format: "auto"},
		Tracing:     tracing.Config{SampleRatio: 1},
	}
}

// Logging returns how the service logs.
func (c Config) Logging() logging.Config { return c.Log }

// Load returns the settings in effect: the defaults, then the file (none if
// empty), then the environment ("KEY=value" each).
func Load(file string, environ []string) (Config, error) {
	cfg := Defaults()
	err := config.Load(&cfg, file, environ)
	return cfg, err
}
