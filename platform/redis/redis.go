// Package redis opens Redis so that a request which meets a dead or frozen one
// loses little time.
package redis

import (
	"errors"
	"net"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"example.com/todo/platform/config"
)

// Config says where Redis is. Addr is host:port; several with commas are a
// Redis Cluster, or, with Master, the Sentinels of that master. KeyPrefix is
// for the caller to put before every key: in a cluster a hash tag such as
// "{app}", so that one script may touch several keys. Timeout bounds each of
// dialing, writing and waiting for an answer.
type Config struct {
	Addr      string        `config:"addr"`
	Username  string        `config:"username"`
	Password  config.Secret `config:"password"`
	DB        int           `config:"db"`
	Master    string        `config:"master"`
	KeyPrefix string        `config:"key_prefix"`
	PoolSize  int           `config:"pool_size"` // connections to each server, beside ten for pipelines and one for each subscription
	Timeout   time.Duration `config:"timeout"`
}

// Defaults returns the local server and bounds that suit requests.
func Defaults() Config {
	return Config{Addr: "localhost:6379", PoolSize: 32, Timeout: 100 * time.Millisecond}
}

// ConsumerDefaults returns the local server and more time than a request would
// give it: a batch of messages may wait, and one whose answer came too late is
// done twice over.
func ConsumerDefaults() Config {
	cfg := Defaults()
	cfg.Timeout = time.Second
	return cfg
}

// Validate refuses what go-redis would replace by a default of its own.
func (c Config) Validate() error {
	var errs []error
	for addr := range strings.SplitSeq(c.Addr, ",") {
		if _, _, err := net.SplitHostPort(strings.TrimSpace(addr)); err != nil {
			errs = append(errs, config.Invalid("addr", "must be host:port, or several with commas"))
			break
		}
	}
	if c.DB < 0 || c.DB > 0 && c.Master == "" && strings.Contains(c.Addr, ",") {
		errs = append(errs, config.Invalid("db", "must not be negative, and 0 in a cluster"))
	}
	if c.PoolSize < 1 {
		errs = append(errs, config.Invalid("pool_size", "must be at least 1"))
	}
	if c.Timeout < time.Millisecond {
		errs = append(errs, config.Invalid("timeout", "must be at least 1ms"))
	}
	return errors.Join(errs...)
}

// pipelineConns is how many connections to each server go-redis opens for
// pipelines, beside those of the pool. A pipeline that finds them in use takes one
// of the pool.
const pipelineConns = 10

// MaxConns returns how many connections a client holds at most: for each server
// of a cluster that is listed a pool and those for pipelines, and one for a
// subscription.
func (c Config) MaxConns() int {
	pools := 1
	if c.Master == "" {
		pools += strings.Count(c.Addr, ",")
	}
	return pools*(c.PoolSize+pipelineConns) + 1
}

// Open returns a client; it does not wait for Redis. Each command is tried
// once, because a retry may repeat what was done, and costs at most about one
// and a half times Timeout, less when its context ends sooner.
func Open(cfg Config) goredis.UniversalClient {
	var addrs []string
	for addr := range strings.SplitSeq(cfg.Addr, ",") {
		addrs = append(addrs, strings.TrimSpace(addr))
	}
	return goredis.NewUniversalClient(&goredis.UniversalOptions{
		Addrs:                 addrs,
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
		DisableIdentity:       true, // CLIENT SETINFO is of Redis 7.2
		MaintNotificationsConfig: &maintnotifications.Config{
			Mode: maintnotifications.ModeDisabled, // of Redis Enterprise
		},
	})
}
