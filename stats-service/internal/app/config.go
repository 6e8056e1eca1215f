// Package app is the wiring diagram of stats-service: its settings, and how its parts
// are put together.
package app

import (
	"errors"
	"net/netip"
	"time"

	"example.com/todo/platform/config"
	"example.com/todo/platform/httpserver"
	"example.com/todo/platform/kafka"
	"example.com/todo/platform/logging"
	"example.com/todo/platform/ops"
	"example.com/todo/platform/redis"
	"example.com/todo/platform/tracing"
)

// name is what the service is called in logs, metrics and traces, and the name
// of its consumer group.
const name = "stats-service"

// Config holds every setting: the parts' own, and few of the service's.
type Config struct {
	HTTP      httpserver.Config `config:"http"`
	Ops       ops.Config        `config:"ops"`
	Redis     redis.Config      `config:"redis"`
	Kafka     kafka.Config      `config:"kafka"`
	DrainWait time.Duration     `config:"drain_wait"` // between "not ready" and taking no more requests
	Log       logging.Config    `config:"log"`
	Tracing   tracing.Config    `config:"tracing"`

	MaxConnsPerClient int            `config:"max_conns_per_client"` // over HTTP, except of trusted proxies
	TrustedProxies    []netip.Prefix `config:"trusted_proxies"`
}

const (
	minDrainWait     = time.Millisecond
	maxDrainWait     = time.Hour // longer than load balancers look
	maxConnsOfClient = 1_000_000 // of one client
)

// Validate refuses a wait that cannot be meant, a limit that lets nothing pass, and
// networks that are none.
func (c Config) Validate() error {
	return errors.Join(
		config.CheckRangeOrZero("drain_wait", c.DrainWait, minDrainWait, maxDrainWait, "no wait"),
		config.CheckRange("max_conns_per_client", c.MaxConnsPerClient, 1, maxConnsOfClient),
		config.CheckNetworks("trusted_proxies", c.TrustedProxies...),
	)
}

// descriptors returns how many files the service has open at most beside the
// connections of its clients.
func (c Config) descriptors() int {
	const files = 16 // standard streams, listeners, name lookups, connections that are about to be refused
	return files + c.Redis.MaxConns() + c.Kafka.ConsumerConns()
}

// Defaults returns the settings of a service that runs beside its servers on one machine.
func Defaults() Config {
	return Config{
		HTTP:    httpserver.Defaults(":8081"),
		Ops:     ops.Defaults(":9103"),
		Redis:   redis.ConsumerDefaults(),
		Kafka:   kafka.Defaults(name),
		Log:     logging.Config{Format: "auto"},
		Tracing: tracing.Config{SampleRatio: 1},

		MaxConnsPerClient: 256,
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
