// Package redis opens Redis so that a request which meets a dead or frozen one
// loses little time.
package redis

import (
	"errors"
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

// The bounds of the bounds: outside them the unit of the value, or its digits, are a mistake.
const (
	maxDB       = 1<<31 - 1 // servers take an int of C
	maxPoolSize = 10_000
	minTimeout  = time.Millisecond
	maxTimeout  = time.Minute
)

// Validate refuses an address that cannot be dialed, what go-redis would replace by a
// default of its own or pass over, and keys that a cluster would scatter.
func (c Config) Validate() error {
	errs := []error{
		config.CheckServerAddrs("addr", c.addrs()...),
		config.CheckWord("username", c.Username),
		config.CheckWord("master", c.Master),
		config.CheckRange("db", c.DB, 0, maxDB),
		config.CheckWord("key_prefix", c.KeyPrefix),
		c.CheckPrefix("key_prefix", c.KeyPrefix),
		config.CheckRange("pool_size", c.PoolSize, 1, maxPoolSize),
		config.CheckRange("timeout", c.Timeout, minTimeout, maxTimeout),
	}
	if c.Username != "" && c.Password == "" {
		errs = append(errs, config.Invalid("username", "needs a password beside it: without one it is not sent, and the server's default user would be meant"))
	}
	if c.isCluster() && c.DB != 0 {
		errs = append(errs, config.Invalid("db", "must be 0, because addr names a cluster, which has no other"))
	}
	return errors.Join(errs...)
}

// CheckPrefix refuses, as the value of key, a prefix under which a cluster would put the
// keys of one script into several slots, and answer CROSSSLOT.
func (c Config) CheckPrefix(key, prefix string) error {
	_, tag, opened := strings.Cut(prefix, "{")
	tag, _, closed := strings.Cut(tag, "}")
	if c.isCluster() && (!opened || !closed || tag == "") {
		return config.Invalid(key, "must hold a hash tag, such as {app}, because the servers are a cluster, in which only that keeps the keys of a script together")
	}
	return nil
}

// addrs are the servers, as they are listed.
func (c Config) addrs() []string {
	addrs := strings.Split(c.Addr, ",")
	for i, addr := range addrs {
		addrs[i] = strings.TrimSpace(addr)
	}
	return addrs
}

// isCluster says whether Open takes the servers for a cluster.
func (c Config) isCluster() bool { return c.Master == "" && len(c.addrs()) > 1 }

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
	return goredis.NewUniversalClient(&goredis.UniversalOptions{
		Addrs:                 cfg.addrs(),
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
