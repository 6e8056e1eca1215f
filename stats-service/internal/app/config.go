// Package app is the composition root of stats-service: its settings, the wiring of its
// parts, and its commands.
package app

import (
	"errors"
	"net/netip"
	"slices"
	"time"

	"example.com/todo/platform/config"
	"example.com/todo/platform/httpserver"
	"example.com/todo/platform/kafka"
	"example.com/todo/platform/logging"
	"example.com/todo/platform/ops"
	"example.com/todo/platform/redis"
	"example.com/todo/platform/session"
	"example.com/todo/platform/tracing"
)

// name is the service's name in logs, metrics and traces, and that of its consumer group.
const name = "stats-service"

// Config has the settings of all parts, and few of the service itself.
type Config struct {
	HTTP      httpserver.Config `config:"http"`
	Ops       ops.Config        `config:"ops"`
	Redis     redis.Config      `config:"redis"`
	Kafka     kafka.Config      `config:"kafka"`
	Auth      AuthConfig        `config:"auth"`
	Session   session.Config    `config:"session"`
	Web       WebConfig         `config:"web"`
	DrainWait time.Duration     `config:"drain_wait"` // between "not ready" and the closing of the listener
	Log       logging.Config    `config:"log"`
	Tracing   tracing.Config    `config:"tracing"`

	MaxConnsPerClient int            `config:"max_conns_per_client"` // over HTTP; trusted proxies have no limit
	TrustedProxies    []netip.Prefix `config:"trusted_proxies"`
}

// AuthConfig says whether clients sign in.
type AuthConfig struct {
	Mode string `config:"mode"` // off or on, as in todo-service
}

// Validate returns an error for a mode that does not exist.
func (c AuthConfig) Validate() error {
	if c.Mode != "off" && c.Mode != "on" {
		return config.Invalid("mode", "must be off or on")
	}
	return nil
}

// hasSignIn reports whether requests need a session.
func (c Config) hasSignIn() bool { return c.Auth.Mode == "on" }

// WebConfig has the address of the page that todo-service serves. The name of the cookie
// depends on it.
type WebConfig struct {
	PublicURL string `config:"public_url"` // as browsers reach it; "" for no proxy
}

// Validate returns an error for an address that no browser can use.
func (c WebConfig) Validate() error {
	if c.PublicURL == "" {
		return nil
	}
	return config.CheckURL("public_url", c.PublicURL, "http", "https")
}

const (
	minDrainWait     = time.Millisecond
	maxDrainWait     = time.Hour // longer than a load balancer needs to notice
	maxConnsOfClient = 1_000_000 // of one client
)

// Validate rejects a wait or a limit that is out of range, invalid networks, and settings of
// sign-in that contradict others.
func (c Config) Validate() error {
	var errs []error
	if c.hasSignIn() && slices.Contains(c.HTTP.CORSOrigins, "*") {
		errs = append(errs, config.Invalid("http.cors_origins", "must list the origins, because auth.mode is on: any page could use the cookie of a session"))
	}
	if c.Session.KeyPrefix != "" {
		errs = append(errs, c.Redis.CheckPrefix("session.key_prefix", c.Session.KeyPrefix))
	}
	return errors.Join(append(errs,
		config.CheckRangeOrZero("drain_wait", c.DrainWait, minDrainWait, maxDrainWait, "no wait"),
		config.CheckRange("max_conns_per_client", c.MaxConnsPerClient, 1, maxConnsOfClient),
		config.CheckNetworks("trusted_proxies", c.TrustedProxies...),
	)...)
}

// descriptors returns the maximum number of open files, without the connections of
// clients.
func (c Config) descriptors() int {
	const files = 16 // standard streams, listeners, name lookups, connections that are about to be closed
	return files + c.Redis.MaxConns() + c.Kafka.ConsumerConns()
}

// Defaults returns the settings for one machine that runs the service and its servers.
func Defaults() Config {
	return Config{
		HTTP:    httpserver.Defaults(":8081"),
		Ops:     ops.Defaults(":9103"),
		Redis:   redis.ConsumerDefaults(),
		Kafka:   kafka.Defaults(name),
		Auth:    AuthConfig{Mode: "off"},
		Session: session.Defaults(),
		Log:     logging.Config{Format: "auto"},
		Tracing: tracing.Config{SampleRatio: 1},

		MaxConnsPerClient: 256,
	}
}

// Logging returns the settings of the log.
func (c Config) Logging() logging.Config { return c.Log }

// Load returns the settings in effect: the defaults, then the file (unless its name is
// empty), then the environment ("KEY=value" each).
func Load(file string, environ []string) (Config, error) {
	cfg := Defaults()
	err := config.Load(&cfg, file, environ)
	return cfg, err
}
