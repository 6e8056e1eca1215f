package config_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/todo/platform/config"
)

type server struct {
	Addr     string        `config:"addr"`
	Password config.Secret `config:"password"`
	Port     int           `config:"port"`

	Sources config.Sources
}

type cacheServer struct{ server }

type servers struct {
	Redis server      `config:"redis"`
	Cache cacheServer `config:"redis_cache"`
}

func TestNameTellsWhereASettingIsFrom(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "settings.yaml")
	if err := os.WriteFile(file, []byte("redis: {addr: a, port: 1}\nredis_cache: {port: 2}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := servers{Redis: server{Addr: "default", Sources: config.Sources{Section: "redis"}}}
	if got := cfg.Redis.Sources.Name("addr"); got != "redis.addr" {
		t.Errorf("before Load: %s", got)
	}
	if err := config.Load(&cfg, file, []string{"REDIS_PASSWORD=hunter2", "REDIS_PORT=3", "REDIS_ADDR=", "REDIS_CACHE_ADDR=b"}); err != nil {
		t.Fatal(err)
	}
	got := []string{
		cfg.Redis.Sources.Name("addr"), cfg.Redis.Sources.Name("password"), cfg.Redis.Sources.Name("port"),
		cfg.Cache.Sources.Name("addr"), cfg.Cache.Sources.Name("password"), cfg.Cache.Sources.Name("port"),
	}
	want := []string{
		"redis.addr (file " + file + "; variable REDIS_ADDR)", "redis.password (environment REDIS_PASSWORD)", "redis.port (environment REDIS_PORT)",
		"redis_cache.addr (environment REDIS_CACHE_ADDR)", "redis_cache.password (default; variable REDIS_CACHE_PASSWORD)", "redis_cache.port (file " + file + "; variable REDIS_CACHE_PORT)",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	other := cfg
	other.Redis.Sources = config.Sources{}
	if diff := cmp.Diff(cfg.Redis, other.Redis); diff != "" {
		t.Errorf("settings of other sources differ:\n%s", diff)
	}
}

func TestListenNamesTheSettingAndWhatToTry(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for name, test := range map[string]struct{ addr, want string }{
		"a port that is taken":          {taken.Addr().String(), "address already in use: stop the program that listens there, or choose another port"},
		"an address of another machine": {"192.0.2.1:0", "cannot assign requested address: choose an address of this machine and a free port"},
	} {
		cfg := servers{}
		if err := config.Load(&cfg, "", []string{"REDIS_ADDR=" + test.addr}); err != nil {
			t.Fatal(err)
		}
		listener, err := cfg.Redis.Sources.Listen("addr", cfg.Redis.Addr)
		if err == nil {
			listener.Close()
		}
		if err == nil || !strings.HasPrefix(err.Error(), "redis.addr (environment REDIS_ADDR): listen tcp "+test.addr) || !strings.HasSuffix(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
