// Package app is the wiring diagram of notification-service: its settings, and
// how its parts are put together.
package app

import (
	"example.com/todo/notification-service/internal/sender"
	"example.com/todo/platform/config"
	"example.com/todo/platform/kafka"
	"example.com/todo/platform/logging"
	"example.com/todo/platform/ops"
	"example.com/todo/platform/redis"
)

// name is what the service is called in logs and metrics, and the name of its
// consumer group.
const name = "notification-service"

// Config holds every setting: the parts' own.
type Config struct {
	Ops     ops.Config           `config:"ops"`
	Redis   redis.Config         `config:"redis"`
	Kafka   kafka.Config         `config:"kafka"`
	Webhook sender.WebhookConfig `config:"webhook"`
	Log     logging.Config       `config:"log"`
}

// descriptors returns how many files the service has open at most beside the
// connections of its ops port.
func (c Config) descriptors() int {
	const files = 16              // standard streams, the listener, name lookups, connections that are about to be refused
	webhook := c.Kafka.Partitions // a connection for each
	return files + c.Redis.MaxConns() + c.Kafka.ConsumerConns() + webhook
}

// Defaults returns the settings of a service that runs beside its servers on one machine.
func Defaults() Config {
	return Config{
		Ops:     ops.Defaults(":9102"),
		Redis:   redis.ConsumerDefaults(),
		Kafka:   kafka.Defaults(name),
		Webhook: sender.WebhookDefaults(),
		Log:     logging.Config{Format: "auto"},
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
