package app

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/client_golang/prometheus"
	goredis "github.com/redis/go-redis/v9"

	"example.com/todo/platform/config"
	"example.com/todo/platform/testenv"
)

func TestExampleFileHasEverySettingWithItsDefault(t *testing.T) {
	var empty Config
	if err := config.Load(&empty, "../../config.example.yaml", nil); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Defaults(), empty, cmpopts.EquateEmpty(), cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
		t.Errorf("the example alone, without defaults (-defaults +example):\n%s", diff)
	}
}

func TestLoadRefusesInvalidLimitsAndAddresses(t *testing.T) {
	for _, environ := range [][]string{
		{"RATE_LIMIT_REQUESTS=0"},
		{"RATE_LIMIT_REQUESTS=many"},
		{"RATE_LIMIT_WINDOW=10ms"},
		{"RATE_LIMIT_WINDOW=60"},
		{"TRUSTED_PROXIES=localhost"},
		{"DRAIN_WAIT=-1s"},
		{"MAX_IN_FLIGHT=7"},
		{"POSTGRES_MAX_CONNS=3"},
		{"KAFKA_PARTITIONS=0"},
		{"WATCH_MAX_WATCHERS=0"},
		{"REDIS_CACHE_ADDR=cache"},
		{"REDIS_CACHE_ADDR=cache:6379", "REDIS_CACHE_POOL_SIZE=0"},
	} {
		if _, err := Load("", environ); err == nil {
			t.Errorf("%s is accepted", environ)
		}
	}
	if _, err := Load("", []string{"TRUSTED_PROXIES=10.0.0.0/8,::1/128", "REDIS_CACHE_ADDR=cache:6379"}); err != nil {
		t.Error(err)
	}
}

func TestLoadRefusesAKeyPrefixWithoutHashTagForACluster(t *testing.T) {
	const cluster, other = "REDIS_ADDR=a:1,b:2", "REDIS_CACHE_ADDR=c:1,d:2"
	for name, tt := range map[string]struct {
		environ []string
		key     string // that the one error names; "" for no error
	}{
		"one server":                            {nil, ""},
		"a cluster":                             {[]string{cluster}, "redis.key_prefix"},
		"a cluster with a tag":                  {[]string{cluster, "REDIS_KEY_PREFIX={todo}"}, ""},
		"a cache in it under another prefix":    {[]string{cluster, "REDIS_KEY_PREFIX={todo}", "REDIS_CACHE_KEY_PREFIX=cache:"}, "redis_cache.key_prefix"},
		"a cluster for the cache alone":         {[]string{other, "REDIS_KEY_PREFIX=todo:"}, "redis.key_prefix"},
		"a cluster for the cache, with a tag":   {[]string{other, "REDIS_CACHE_KEY_PREFIX={cache}"}, ""},
		"a cluster for the cache, with its tag": {[]string{other, "REDIS_KEY_PREFIX={todo}"}, ""},
		"two clusters":                          {[]string{cluster, other, "REDIS_KEY_PREFIX={todo}", "REDIS_CACHE_KEY_PREFIX={cache}"}, ""},
		"Sentinels":                             {[]string{cluster, "REDIS_MASTER=main"}, ""},
		"sessions in it under another prefix":   {[]string{cluster, "REDIS_KEY_PREFIX={todo}", "SESSION_KEY_PREFIX=other:"}, "session.key_prefix"},
	} {
		_, err := Load("", tt.environ)
		if tt.key == "" && err != nil || tt.key != "" && (err == nil || !strings.HasPrefix(err.Error(), tt.key+": ") || strings.Contains(err.Error(), "\n")) {
			t.Errorf("%s: got %v, want an error about %q", name, err, tt.key)
		}
	}
}

func TestLoadRefusesSignInWithPagesOfEveryOrigin(t *testing.T) {
	t.Parallel()
	for origins, want := range map[string]string{"*": "http.cors_origins: ", "https://app.example.com": ""} {
		_, err := Load("", []string{"AUTH_MODE=on", "HTTP_CORS_ORIGINS=" + origins})
		if (err == nil) != (want == "") || err != nil && (!strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "\n")) {
			t.Errorf("%s: got %v, want an error about %q", origins, err, want)
		}
	}
	if _, err := Load("", []string{"HTTP_CORS_ORIGINS=*"}); err != nil {
		t.Errorf("without sign-in: %v", err)
	}
}

func TestRunRefusesASingleNodeOfACluster(t *testing.T) {
	node := testenv.StartRedis(t, "--cluster-enabled", "yes")
	for key, environ := range map[string][]string{
		"redis.addr (environment REDIS_ADDR): ":             {"REDIS_ADDR=" + node},
		"redis_cache.addr (environment REDIS_CACHE_ADDR): ": {"REDIS_ADDR=" + testenv.FreeAddr(t), "REDIS_CACHE_ADDR=" + node},
	} {
		cfg, err := Load("", append(environ, "POSTGRES_DSN=postgres://"+testenv.FreeAddr(t)+"/todo", "REDIS_TIMEOUT=5s", "REDIS_CACHE_TIMEOUT=5s"))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second) // without an error it would serve for ever
		defer cancel()
		if err := Run(ctx, cfg); err == nil || !strings.HasPrefix(err.Error(), key) || strings.Contains(err.Error(), "\n") {
			t.Errorf("got %v, want one line about %s", err, key)
		}
	}
}

func TestCacheMayUseItsOwnRedis(t *testing.T) {
	for name, test := range map[string]struct {
		environ      []string
		same         bool
		addr, prefix string
		db           int
		password     string
	}{
		"no setting":      {nil, true, "state:6379", "todo:", 3, "kept"},
		"its own address": {[]string{"REDIS_CACHE_ADDR=cache:6379"}, false, "cache:6379", "todo:", 0, ""},
		"its own address and settings": {
			[]string{"REDIS_CACHE_ADDR=cache:6379", "REDIS_CACHE_PASSWORD=fast", "REDIS_CACHE_DB=1", "REDIS_CACHE_KEY_PREFIX=cache:"},
			false, "cache:6379", "cache:", 1, "fast",
		},
		"its own prefix": {[]string{"REDIS_CACHE_KEY_PREFIX=cache:"}, true, "state:6379", "cache:", 3, "kept"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, err := Load("", append(test.environ,
				"REDIS_ADDR=state:6379", "REDIS_PASSWORD=kept", "REDIS_DB=3", "REDIS_KEY_PREFIX=todo:"))
			if err != nil {
				t.Fatal(err)
			}
			state, cache, prefix := openRedis(cfg, prometheus.NewRegistry())
			defer state.Close()
			defer cache.Close()
			if (state == cache) != test.same || prefix != test.prefix {
				t.Errorf("same client is %t, prefix %q", state == cache, prefix)
			}
			got := cache.(*goredis.Client).Options()
			if got.Addr != test.addr || got.DB != test.db || got.Password != test.password {
				t.Errorf("the cache uses %s, database %d, password %q", got.Addr, got.DB, got.Password)
			}
		})
	}
}
