// Package app is the composition root of notification-service: its settings and the
// wiring of its parts.
package app

import (
	"example.com/todo/notification-service/internal/sender"
	"example.com/todo/platform/config"
	"example.com/todo/platform/kafka"
	"example.com/todo/platform/logging"
	"example.com/todo/platform/ops"
	"example.com/todo/platform/redis"
)

// name is the service's name in logs and metrics, and that of its consumer group.
const name = "notification-service"

// Config has the settings of all parts.
type Config struct {
	Ops     ops.Config           `config:"ops"`
	Redis   redis.Config         `config:"redis"`
	Kafka   kafka.Config         `config:"kafka"`
	Webhook sender.WebhookConfig `config:"webhook"`
	Log     logging.Config       `config:"log"`
}

// descriptors returns the maximum number of open files, without the connections of the
// ops port.
func (c Config) descriptors() int {
	const files = 16              // standard streams, the listener, name lookups, connections that are about to be closed
	webhook := c.Kafka.Partitions // a connection for each
	return files + c.Redis.MaxConns() + c.Kafka.ConsumerConns() + webhook
}

// Defaults returns the settings for one machine that runs the service and its servers.
func Defaults() Config {
	return Config{
		Ops:     ops.Defaults(":9102"),
		Redis:   redis.ConsumerDefaults(),
		Kafka:   kafka.Defaults(name),
		Webhook: sender.WebhookDefaults(),
		Log:     logging.Config{Format: "auto"},
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
