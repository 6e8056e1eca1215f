package redis_test

import (
	"context"
	"crypto/rand"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"example.com/todo/platform/config"
	"example.com/todo/platform/redis"
	"example.com/todo/platform/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// open returns a client of one server, until the test ends.
func open(t *testing.T, addr string, timeout time.Duration) goredis.UniversalClient {
	t.Helper()
	cfg := redis.Defaults()
	cfg.Addr, cfg.Timeout = addr, timeout
	client := redis.Open(cfg, "redis", nil)
	t.Cleanup(func() { client.Close() })
	return client
}

func TestClientOfARealServer(t *testing.T) {
	t.Parallel()
	client := open(t, testenv.RequireEnv(t, "TEST_REDIS_ADDR"), 5*time.Second)
	key := "platform:" + rand.Text()
	if err := client.Set(t.Context(), key, "value", time.Minute).Err(); err != nil {
		t.Fatal(err)
	}
	defer client.Del(context.WithoutCancel(t.Context()), key)
	if got, err := client.Get(t.Context(), key).Result(); err != nil || got != "value" {
		t.Errorf("got %q, %v", got, err)
	}
}

// startServer starts a fake server. For each request, answer returns the reply, or false to close the
// connection.
func startServer(t *testing.T, answer func(request string) (reply string, ok bool)) (addr string) {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := lis.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer conn.Close()
				buf := make([]byte, 4096)
				for {
					n, err := conn.Read(buf)
					if err != nil {
						return
					}
					reply, ok := answer(strings.ToUpper(string(buf[:n])))
					if !ok {
						return
					}
					io.WriteString(conn, reply)
				}
			})
		}
	})
	t.Cleanup(func() {
		lis.Close()
		serving.Wait()
	})
	return lis.Addr().String()
}

func silent(string) (string, bool) { return "", true }

func TestCommandFailsFastWhenTheServerIsFrozenOrDown(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		addr  string
		limit time.Duration // with a margin for a busy machine
	}{"frozen": {startServer(t, silent), 500 * time.Millisecond}, "down": {dead(t), 300 * time.Millisecond}}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := open(t, test.addr, redis.Defaults().Timeout)
			for range 3 { // also later
				start := time.Now()
				if err := client.Get(t.Context(), "k").Err(); err == nil {
					t.Fatal("answered")
				}
				if took := time.Since(start); took > test.limit {
					t.Errorf("took %v", took)
				}
			}
		})
	}
}

func TestCommandEndsWithItsContext(t *testing.T) {
	t.Parallel()
	client := open(t, startServer(t, silent), time.Minute)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	if err := client.Get(ctx, "k").Err(); err == nil {
		t.Fatal("answered")
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestCommandIsSentOnce(t *testing.T) {
	t.Parallel()
	var commands atomic.Int32
	addr := startServer(t, func(sent string) (string, bool) { // replies to HELLO, and loses the reply to every other command
		if strings.Contains(sent, "HELLO") {
			return "%1\r\n+server\r\n+redis\r\n", true
		}
		if !strings.Contains(sent, "INCR") { // perhaps a command of a newer Redis than 6.2
			t.Errorf("another command was sent: %q", sent)
		}
		commands.Add(1)
		return "", false
	})
	err := open(t, addr, 10*time.Second).Incr(t.Context(), "k").Err()
	if err == nil || commands.Load() != 1 {
		t.Errorf("the server saw %d commands; got %v", commands.Load(), err)
	}
}

func TestValidateRejectsInvalidSettings(t *testing.T) {
	t.Parallel()
	cfg := struct {
		Redis redis.Config `config:"redis"`
	}{redis.Defaults()}
	if err := config.Load(&cfg, "", []string{"REDIS_ADDR=a:1, b:2", "REDIS_KEY_PREFIX={app}"}); err != nil {
		t.Error(err)
	}
	for _, valid := range []string{"REDIS_KEY_PREFIX=x{app}y:", "REDIS_MASTER=main", "REDIS_ADDR=a:1"} {
		again := cfg
		if err := config.Load(&again, "", []string{valid}); err != nil {
			t.Errorf("%s: %v", valid, err)
		}
	}
	tests := map[string]string{
		"REDIS_ADDR=localhost": "redis.addr", "REDIS_ADDR=a:1,b": "redis.addr", "REDIS_DB=1": "redis.db", "REDIS_POOL_SIZE=0": "redis.pool_size", "REDIS_TIMEOUT=0s": "redis.timeout",
		"REDIS_USERNAME=app": "redis.username", // without a password go-redis would not send it
		// Without a hash tag, the reply to scripts is CROSSSLOT.
		"REDIS_KEY_PREFIX=app:": "redis.key_prefix", "REDIS_KEY_PREFIX={}app:": "redis.key_prefix", "REDIS_KEY_PREFIX=app}:{": "redis.key_prefix",
	}
	for env, key := range tests {
		again := cfg
		if err := config.Load(&again, "", []string{env}); err == nil || !strings.Contains(err.Error(), key+": ") {
			t.Errorf("%s: got %v", env, err)
		}
	}
}
