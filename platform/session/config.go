package session

import (
	"errors"
	"time"

	"example.com/todo/platform/config"
)

// Config has the lifetimes of sessions, and the prefix of their keys in Redis. KeyPrefix
// must be equal in all services that read sessions. If it is empty, the service sets it to
// the prefix of its other keys before NewStore.
type Config struct {
	Idle      time.Duration `config:"idle"`    // a session ends when it was not used for so long, see Store.Check
	MaxAge    time.Duration `config:"max_age"` // a session ends so long after sign-in, at the latest
	KeyPrefix string        `config:"key_prefix"`
}

// Defaults returns lifetimes of a day without use, and of 30 days in all.
func Defaults() Config {
	return Config{Idle: 24 * time.Hour, MaxAge: 30 * 24 * time.Hour}
}

// The valid lifetimes. A value outside probably has a wrong unit.
const (
	minLifetime = time.Minute
	maxLifetime = 365 * 24 * time.Hour
)

// Validate rejects lifetimes that are out of range, and a malformed prefix. The service
// checks the prefix with redis.Config.CheckPrefix: in a cluster it needs a hash tag.
func (c Config) Validate() error {
	return errors.Join(
		config.CheckRange("idle", c.Idle, minLifetime, maxLifetime),
		config.CheckRange("max_age", c.MaxAge, minLifetime, maxLifetime),
		config.CheckName("key_prefix", c.KeyPrefix),
	)
}
