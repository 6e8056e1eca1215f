// Package redis stub.
package redis

import (
	goredis "github.com/redis/go-redis/v9"

	"example.com/todo/platform/config"
)

type Config struct {
	Addr      string        `config:"addr"`
	Password  config.Secret `config:"password"`
	DB        int           `config:"db"`
	KeyPrefix string        `config:"key_prefix"`
}

func Defaults() Config                        { panic("soon") }
func Open(cfg Config) goredis.UniversalClient { panic("soon") }
