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

	"example.com/todo/platform/config"
	"example.com/todo/platform/redis"
	"example.com/todo/platform/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func TestARealServerAnswers(t *testing.T) {
	t.Parallel()
	cfg := redis.Defaults()
	cfg.Addr = testenv.RequireEnv(t, "TEST_REDIS_ADDR")
	cfg.Timeout = 5 * time.Second
	client := redis.Open(cfg)
	defer client.Close()
	key := "platform:" + rand.Text()
	if err := client.Set(t.Context(), key, "value", time.Minute).Err(); err != nil {
		t.Fatal(err)
	}
	defer client.Del(context.WithoutCancel(t.Context()), key)
	if got, err := client.Get(t.Context(), key).Result(); err != nil || got != "value" {
		t.Errorf("got %q, %v", got, err)
	}
}

// startServer accepts connections and gives what is sent to answer, which returns
// what to send back, or false to close the connection.
func startServer(t *testing.T, answer func(sent string) (reply string, goOn bool)) (addr string) {
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
					reply, goOn := answer(strings.ToUpper(string(buf[:n])))
					if !goOn {
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

func TestAFrozenOrDeadServerCostsLittle(t *testing.T) {
	t.Parallel()
	frozen := startServer(t, silent)
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free.Close() // nothing listens there now
	tests := map[string]struct {
		addr  string
		limit time.Duration // the cost, and room for a busy machine
	}{"frozen": {frozen, 500 * time.Millisecond}, "dead": {free.Addr().String(), 300 * time.Millisecond}}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := redis.Defaults()
			cfg.Addr = test.addr
			client := redis.Open(cfg)
			defer client.Close()
			for range 3 { // and it stays so
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

func TestAContextEndsACommandSooner(t *testing.T) {
	t.Parallel()
	cfg := redis.Defaults()
	cfg.Addr, cfg.Timeout = startServer(t, silent), time.Minute
	client := redis.Open(cfg)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	if err := client.Get(ctx, "k").Err(); err == nil {
		t.Fatal("answered")
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
	client.Close()
}

func TestACommandIsTriedOnce(t *testing.T) {
	t.Parallel()
	var commands atomic.Int32
	cfg := redis.Defaults()
	cfg.Timeout = 10 * time.Second
	cfg.Addr = startServer(t, func(sent string) (string, bool) { // answers the greeting and loses the answer to all else
		if strings.Contains(sent, "HELLO") {
			return "%1\r\n+server\r\n+redis\r\n", true
		}
		if !strings.Contains(sent, "INCR") { // of a newer Redis than 6.2, perhaps
			t.Errorf("sent besides: %q", sent)
		}
		commands.Add(1)
		return "", false
	})
	client := redis.Open(cfg)
	err := client.Incr(t.Context(), "k").Err()
	client.Close()
	if err == nil || commands.Load() != 1 {
		t.Errorf("the server saw %d commands; got %v", commands.Load(), err)
	}
}

func TestConfigRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	cfg := struct {
		Redis redis.Config `config:"redis"`
	}{redis.Defaults()}
	if err := config.Load(&cfg, "", []string{"REDIS_ADDR=a:1, b:2", "REDIS_KEY_PREFIX={app}"}); err != nil {
		t.Error(err)
	}
	for _, fine := range []string{"REDIS_KEY_PREFIX=x{app}y:", "REDIS_MASTER=main", "REDIS_ADDR=a:1"} {
		again := cfg
		if err := config.Load(&again, "", []string{fine}); err != nil {
			t.Errorf("%s: %v", fine, err)
		}
	}
	tests := map[string]string{
		"REDIS_ADDR=localhost": "redis.addr", "REDIS_ADDR=a:1,b": "redis.addr", "REDIS_DB=1": "redis.db", "REDIS_POOL_SIZE=0": "redis.pool_size", "REDIS_TIMEOUT=0s": "redis.timeout",
		"REDIS_USERNAME=app": "redis.username", // without a password go-redis would not send it
		// Without a hash tag scripts are answered CROSSSLOT.
		"REDIS_KEY_PREFIX=app:": "redis.key_prefix", "REDIS_KEY_PREFIX={}app:": "redis.key_prefix", "REDIS_KEY_PREFIX=app}:{": "redis.key_prefix",
	}
	for env, key := range tests {
		again := cfg
		if err := config.Load(&again, "", []string{env}); err == nil || !strings.Contains(err.Error(), key+": ") {
			t.Errorf("%s: got %v", env, err)
		}
	}
}
