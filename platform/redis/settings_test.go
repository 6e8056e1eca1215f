package redis_test

import (
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"example.com/todo/platform/redis"
	"example.com/todo/platform/testenv"
)

// go-redis has different defaults for each kind of client and sets them in its constructor.
func TestGoRedisSettingsMatchTheGoldenFiles(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*redis.Config){
		"server":   func(*redis.Config) {},
		"cluster":  func(c *redis.Config) { c.Addr = "127.0.0.1:1,127.0.0.1:2" },
		"sentinel": func(c *redis.Config) { c.Addr, c.Master = "127.0.0.1:1,127.0.0.1:2", "main" },
	} {
		cfg := redis.Defaults()
		change(&cfg)
		client := redis.Open(cfg, "redis", nil)
		golden := "testdata/" + name + ".txt"
		switch client := client.(type) {
		case *goredis.Client:
			testenv.CheckSettings(t, golden, client.Options())
		case *goredis.ClusterClient:
			testenv.CheckSettings(t, golden, client.Options())
		default:
			t.Errorf("%s: a %T", name, client)
		}
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	}
}
