// Package redis is a Redis client with short timeouts, so that a request loses little time when Redis is down or
// frozen. It also has a lease lock, a readiness check, a topology check, and the store of a consumer
// group's quarantine.
package redis

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"example.com/todo/platform/config"
	"example.com/todo/platform/metrics"
	"example.com/todo/platform/tlsconfig"
)

// Config is the address of Redis and the bounds of its client. Addr is host:port; several, separated by commas,
// are a Redis Cluster or, with Master, the Sentinels of that master. The caller prepends KeyPrefix to
// every key; in a cluster it contains a hash tag such as "{app}", so that a script may use several
// keys. Timeout bounds each dial, each TLS handshake, each write, and each wait for a reply.
type Config struct {
	Addr      string        `config:"addr"`
	Username  string        `config:"username"`
	Password  config.Secret `config:"password"`
	DB        int           `config:"db"`
	Master    string        `config:"master"`
	KeyPrefix string        `config:"key_prefix"`
	PoolSize  int           `config:"pool_size"` // connections to each server, without ten for pipelines and one for each subscription
	Timeout   time.Duration `config:"timeout"`

	tlsconfig.ClientFiles

	Sources config.Sources // for errors
}

// Defaults returns the local server and bounds for requests.
func Defaults() Config {
	return Config{Addr: "localhost:6379", PoolSize: 32, Timeout: 100 * time.Millisecond, Sources: config.Sources{Section: "redis"}}
}

// ConsumerDefaults returns Defaults with a longer timeout: a batch of messages can wait, and is processed again
// after a timeout.
func ConsumerDefaults() Config {
	cfg := Defaults()
	cfg.Timeout = time.Second
	return cfg
}

// The valid ranges. A value outside probably has a wrong unit.
const (
	maxDB       = 1<<31 - 1 // the server parses a C int
	maxPoolSize = 10_000
	minTimeout  = time.Millisecond
	maxTimeout  = time.Minute
)

// Validate rejects an address that cannot be dialed, values that go-redis would ignore or replace by its
// defaults, and a key prefix without a hash tag in a cluster.
func (c Config) Validate() error {
	errs := []error{
		config.CheckServerAddrs("addr", c.addrs()...),
		config.CheckName("username", c.Username),
		config.CheckName("master", c.Master),
		config.CheckRange("db", c.DB, 0, maxDB),
		config.CheckName("key_prefix", c.KeyPrefix),
		c.CheckPrefix("key_prefix", c.KeyPrefix),
		config.CheckRange("pool_size", c.PoolSize, 1, maxPoolSize),
		config.CheckRange("timeout", c.Timeout, minTimeout, maxTimeout),
		c.ClientFiles.Validate(),
	}
	if c.Username != "" && c.Password == "" {
		errs = append(errs, config.Invalid("username", "needs a password: without one it is not sent, and the server uses its default user"))
	}
	if c.isCluster() && c.DB != 0 {
		errs = append(errs, config.Invalid("db", "must be 0, because addr names a cluster, which has no other database"))
	}
	return errors.Join(errs...)
}

// CheckPrefix rejects the key prefix in the setting key if Redis is a cluster and the prefix has no hash tag:
// the cluster would reply CROSSSLOT to a script with several keys.
func (c Config) CheckPrefix(key, prefix string) error {
	_, tag, opened := strings.Cut(prefix, "{")
	tag, _, closed := strings.Cut(tag, "}")
	if c.isCluster() && (!opened || !closed || tag == "") {
		return config.Invalid(key, "must hold a hash tag, such as {app}, because the servers are a cluster, and only a hash tag keeps the keys of a script in one slot")
	}
	return nil
}

func (c Config) addrs() []string {
	addrs := strings.Split(c.Addr, ",")
	for i, addr := range addrs {
		addrs[i] = strings.TrimSpace(addr)
	}
	return addrs
}

// isCluster reports whether Open connects to a Redis Cluster.
func (c Config) isCluster() bool { return c.Master == "" && len(c.addrs()) > 1 }

// pipelineConns is the size of go-redis's second pool for each server, for pipelines. When it is in use,
// pipelines use PoolSize.
const pipelineConns = 10

// MaxConns returns the greatest number of connections of a client: both pools for each server that is listed,
// and one connection for a subscription.
func (c Config) MaxConns() int {
	pools := 1
	if c.Master == "" {
		pools += strings.Count(c.Addr, ",")
	}
	return pools*(c.PoolSize+pipelineConns) + 1
}

// Open returns a client and does not wait for Redis. A command takes at most about 1.5 times Timeout, or until
// its context ends. It is never retried, because it may have been executed. With the label
// server, reg gets the durations of the round trips (redis_roundtrip_seconds) and the connections
// (redis_pool_connections), unless it is nil.
func Open(cfg Config, server string, reg prometheus.Registerer) goredis.UniversalClient {
	client := goredis.NewUniversalClient(&goredis.UniversalOptions{
		Addrs:                 cfg.addrs(),
		Dialer:                cfg.dialer(),
		MasterName:            cfg.Master,
		Username:              cfg.Username,
		Password:              cfg.Password.Reveal(),
		DB:                    cfg.DB,
		MaxRetries:            -1,
		ContextTimeoutEnabled: true,
		DialTimeout:           cfg.Timeout,
		DialerRetries:         1,
		ReadTimeout:           cfg.Timeout,
		WriteTimeout:          cfg.Timeout,
		PoolSize:              cfg.PoolSize,
		PoolTimeout:           cfg.Timeout / 2,
		PipelinePoolSize:      pipelineConns,
		MinIdleConns:          min(2, cfg.PoolSize),
		DisableIdentity:       true, // CLIENT SETINFO needs Redis 7.2
		MaintNotificationsConfig: &maintnotifications.Config{
			Mode: maintnotifications.ModeDisabled, // Redis Enterprise only
		},
	})
	labels := prometheus.Labels{"server": server}
	client.AddHook(durationHook{metrics.NewDurations(reg, "redis_roundtrip_seconds",
		"Duration of commands and pipelines, including the wait for a connection.", labels)})
	if reg != nil {
		reg.MustRegister(newPoolCollector(client, labels))
	}
	return client
}

// dialer returns the dialer of connections with TLS, or nil for go-redis's own.
func (c Config) dialer() func(ctx context.Context, network, addr string) (net.Conn, error) {
	secure := tlsconfig.NewClient(c.ClientFiles, c.Sources, "addr")
	if secure == nil {
		return nil
	}
	dial := goredis.NewDialer(&goredis.Options{DialTimeout: c.Timeout})
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		ctx, cancel := context.WithTimeout(ctx, c.Timeout)
		defer cancel()
		secured, err := secure.Handshake(ctx, conn, addr)
		if err != nil {
			_ = conn.Close()
			return nil, err
		}
		return securedConn{secured}, nil
	}
}

// TLSEndpoint describes the connections for a tlsconfig.Monitor.
func (c Config) TLSEndpoint() tlsconfig.Endpoint {
	return c.ClientEndpoint(c.Sources, c.addrs()...)
}

//go:embed ready.lua
var readyLua string

var readyScript = goredis.NewScript(readyLua)

// Ready is a readiness check: it returns an error if Redis does not execute the commands of a consumer's
// scripts, because it is unreachable, full or read-only, or because an ACL forbids one. It uses the
// key <prefix>ready:<name> and deletes it. cfg is the client's.
func Ready(ctx context.Context, client goredis.UniversalClient, cfg Config, name string) error {
	if err := readyScript.Run(ctx, client, []string{cfg.KeyPrefix + "ready:" + name}).Err(); err != nil {
		return fmt.Errorf("redis does not execute this service's commands: %w", cfg.Explain(err))
	}
	return nil
}

// durationHook is a hook of go-redis that observes the durations of commands and pipelines.
type durationHook struct{ metrics.Durations }

func (durationHook) DialHook(next goredis.DialHook) goredis.DialHook { return next }

func (h durationHook) ProcessHook(next goredis.ProcessHook) goredis.ProcessHook {
	return observe(h, next)
}

func (h durationHook) ProcessPipelineHook(next goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return observe(h, next)
}

// observe returns next, with its duration observed. An error that is a reply counts as success.
func observe[T any](h durationHook, next func(context.Context, T) error) func(context.Context, T) error {
	return func(ctx context.Context, request T) error {
		start := time.Now()
		err := next(ctx, request)
		failure := err
		if isReply(err) {
			failure = nil
		}
		h.ObserveSince(start, failure)
		return err
	}
}
