package redis_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"example.com/todo/platform/redis"
	"example.com/todo/platform/testenv"
)

// startModeServer starts a fake server with the mode in its reply to HELLO. As a Sentinel it knows "main".
func startModeServer(t *testing.T, mode string) (addr string) {
	return startServer(t, func(sent string) (string, bool) {
		switch {
		case strings.Contains(sent, "GET-MASTER-ADDR") && strings.Contains(sent, "MAIN"):
			return "*2\r\n$9\r\n127.0.0.1\r\n$4\r\n6379\r\n", true
		case strings.Contains(sent, "GET-MASTER-ADDR"):
			return "_\r\n", true
		case strings.Contains(sent, "HELLO"):
			return fmt.Sprintf("%%2\r\n+server\r\n+redis\r\n+mode\r\n+%s\r\n", mode), true
		case strings.Contains(sent, "SLOTS"):
			return "-ERR This instance has cluster support disabled\r\n", true
		}
		return "+OK\r\n", true
	})
}

// dead returns an address on which no server listens.
func dead(t *testing.T) (addr string) { return testenv.FreeAddr(t) }

func TestCheckFailsWhenAServerContradictsTheSettings(t *testing.T) {
	t.Parallel()
	var (
		realStandalone = func(t *testing.T) string { return testenv.StartRedis(t) }
		realCluster    = func(t *testing.T) string { return testenv.StartRedis(t, "--cluster-enabled", "yes") }
		fake           = func(mode string) func(*testing.T) string {
			return func(t *testing.T) string { return startModeServer(t, mode) }
		}
		old = func(t *testing.T) string {
			return startServer(t, func(string) (string, bool) { return "-ERR unknown command\r\n", true })
		}
		frozen       = func(t *testing.T) string { return startServer(t, silent) }
		withPassword = func(t *testing.T) string { return testenv.StartRedis(t, "--requirepass", "right") }
	)
	type servers = []func(*testing.T) string
	for name, test := range map[string]struct {
		servers servers
		change  func(*redis.Config)
		want    string // prefix of the error, "" for none
		hint    string // text in the error
	}{
		"a standalone server":                {servers{realStandalone}, nil, "", ""},
		"one node of a cluster":              {servers{realCluster}, nil, "redis.addr: ", "list several nodes"},
		"nodes of a cluster":                 {servers{realCluster, realCluster}, nil, "", ""},
		"several standalone servers":         {servers{realStandalone, realStandalone}, nil, "redis.addr: ", "a standalone server"},
		"a database that does not exist":     {servers{realStandalone}, func(c *redis.Config) { c.DB = 99 }, "redis.db: ", "no database with this number"},
		"a server instead of a Sentinel":     {servers{realStandalone}, func(c *redis.Config) { c.Master = "main" }, "redis.addr: ", "is no Sentinel"},
		"one standalone server in a cluster": {servers{dead, realCluster, realStandalone}, nil, "redis.addr: ", "a standalone server"},
		"a Sentinel instead of a server":     {servers{fake("sentinel")}, nil, "redis.addr: ", "set redis.master"},
		"Sentinels instead of a cluster":     {servers{fake("sentinel"), fake("sentinel")}, nil, "redis.addr: ", "set redis.master"},
		"Sentinels":                          {servers{dead, fake("sentinel")}, func(c *redis.Config) { c.Master = "main" }, "", ""},
		"Sentinels of another master":        {servers{fake("sentinel")}, func(c *redis.Config) { c.Master = "mian" }, "redis.master: ", `no master named "mian"`},
		"Sentinels with a password":          {servers{dead, withPassword}, func(c *redis.Config) { c.Master, c.Password = "main", "of the master" }, "redis.addr: ", "must not need a password"},
		"all servers down or frozen":         {servers{dead, frozen}, nil, "", ""},
		"a server without HELLO":             {servers{old}, nil, "", ""},
		"an unknown mode":                    {servers{fake("dreaming")}, nil, "", ""},
		"a cluster that is down":             {servers{dead, dead}, nil, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := redis.Defaults()
			var addrs []string
			for _, start := range test.servers {
				addrs = append(addrs, start(t))
			}
			cfg.Addr = strings.Join(addrs, ",")
			if test.change != nil {
				test.change(&cfg)
			}
			cfg.Timeout = 5 * time.Second
			if strings.HasPrefix(name, "all") {
				cfg.Timeout = 50 * time.Millisecond
			}
			err := redis.NewTopology("redis", cfg, slog.New(slog.DiscardHandler)).Check(t.Context())
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.HasPrefix(err.Error(), test.want) || !strings.Contains(err.Error(), test.hint)) {
				t.Errorf("got %v, want %q and %q", err, test.want, test.hint)
			}
		})
	}
}

func TestCheckLogsAReplyRatherThanAConnectionError(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	cfg := redis.Defaults()
	cfg.Addr = dead(t) + "," + testenv.StartRedis(t, "--requirepass", "right") + "," + dead(t)
	cfg.Timeout = 5 * time.Second
	if err := redis.NewTopology("redis", cfg, slog.New(slog.NewTextHandler(&log, nil))).Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if lines := log.String(); strings.Count(lines, "\n") != 1 || !strings.Contains(lines, "NOAUTH") {
		t.Errorf("want one line with NOAUTH:\n%s", lines)
	}
}

// A service may start before Redis does.
func TestRunChecksAServerThatStartsLater(t *testing.T) {
	t.Parallel()
	var up atomic.Bool
	cfg := redis.Defaults()
	cfg.Timeout = 5 * time.Second
	cfg.Addr = startServer(t, func(string) (string, bool) {
		return "%1\r\n+mode\r\n+cluster\r\n", up.Load()
	})
	topology := redis.NewTopology("redis_cache", cfg, slog.New(slog.DiscardHandler))
	if err := topology.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- topology.Run(t.Context()) }()
	up.Store(true)
	if err := <-ended; err == nil || !strings.HasPrefix(err.Error(), "redis_cache.addr: ") {
		t.Errorf("got %v", err)
	}
}
