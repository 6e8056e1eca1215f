package redisstore_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"example.com/todo/notification-service/internal/notify"
	"example.com/todo/notification-service/internal/redisstore"
	"example.com/todo/platform/kafka"
)

// overwrites are values and types that another program may write to a key.
var overwrites = map[string]func(ctx context.Context, c goredis.UniversalClient, key string){
	"text":                  text("x"),
	"negative":              text("-1"),
	"empty":                 text(""),
	"huge":                  text(strings.Repeat("9", 400)),
	"JSON":                  text(`{"done":true}`),
	"a claim without a TTL": text("claimed by another"),
	"list":                  func(ctx context.Context, c goredis.UniversalClient, key string) { c.RPush(ctx, key, "x") },
	"set":                   func(ctx context.Context, c goredis.UniversalClient, key string) { c.SAdd(ctx, key, "x") },
	"zset": func(ctx context.Context, c goredis.UniversalClient, key string) {
		c.ZAdd(ctx, key, goredis.Z{Member: "x"})
	},
	"hash":              func(ctx context.Context, c goredis.UniversalClient, key string) { c.HSet(ctx, key, "3", "x") },
	"hash of negatives": func(ctx context.Context, c goredis.UniversalClient, key string) { c.HSet(ctx, key, "3", "-7") },
	"hash of the huge": func(ctx context.Context, c goredis.UniversalClient, key string) {
		c.HSet(ctx, key, "3", strings.Repeat("9", 400))
	},
	"hash of no number": func(ctx context.Context, c goredis.UniversalClient, key string) { c.HSet(ctx, key, "3", "nan") },
	"hash of an exponent": func(ctx context.Context, c goredis.UniversalClient, key string) {
		c.HSet(ctx, key, "3", "9e14")
	},
	"stream": func(ctx context.Context, c goredis.UniversalClient, key string) {
		c.XAdd(ctx, &goredis.XAddArgs{Stream: key, Values: []string{"x", "y"}})
	},
}

func text(value string) func(context.Context, goredis.UniversalClient, string) {
	return func(ctx context.Context, c goredis.UniversalClient, key string) { c.Set(ctx, key, value, 0) }
}

func TestAcquireSucceedsWhenAKeyWasOverwritten(t *testing.T) {
	t.Parallel()
	// Each step logs an overwritten key that it reads; the last one reads no rejection.
	for key, logged := range map[string]int{"processed:" + testKey: 2, "notification:refused:" + testKey: 1, "notification:sent": 2} {
		for how, overwrite := range overwrites {
			t.Run(key+" by "+how, func(t *testing.T) {
				t.Parallel()
				client, prefix := openRedis(t)
				var log bytes.Buffer
				c := redisstore.NewClaimStore(client, prefix, time.Minute, slog.New(slog.NewTextHandler(&log, nil)))
				overwrite(t.Context(), client, prefix+key)
				acquire(t, c, notify.Acquired)
				client.Del(t.Context(), prefix+key) // so that a type other than text can be written
				overwrite(t.Context(), client, prefix+key)
				recordSent(t, c)
				if got := strings.Count(log.String(), "level=ERROR"); got != logged || strings.Count(log.String(), "key="+prefix+key) != logged {
					t.Errorf("%d errors in the log, want %d: %s", got, logged, &log)
				}
				if value := client.Get(t.Context(), prefix+"processed:"+testKey).Val(); value != "done" {
					t.Errorf("the value is %q afterwards", value)
				}
				if key == "notification:sent" || strings.HasPrefix(key, "notification:refused") {
					acquire(t, redisstore.NewClaimStore(client, prefix, time.Minute, slog.New(slog.DiscardHandler)), notify.AlreadySent)
				}
			})
		}
	}
}

func TestOffsetsTreatAnOverwrittenOffsetAsNone(t *testing.T) {
	t.Parallel()
	for how, overwrite := range overwrites {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			client, prefix := openRedis(t)
			var log bytes.Buffer
			offsets := redisstore.NewOffsets(client, prefix, slog.New(slog.NewTextHandler(&log, nil)))
			overwrite(t.Context(), client, prefix+"notification:offsets")
			if next, _, err := offsets.Load(t.Context(), 3); err != nil || next != 0 {
				t.Fatalf("the offset is %d, %v", next, err)
			}
			if !strings.Contains(log.String(), "level=ERROR") {
				t.Errorf("no error in the log: %s", &log)
			}
			if err := offsets.Bind(t.Context(), 3, "id a", 7); err != nil {
				t.Error(err)
			}
			if err := offsets.Advance(t.Context(), 3, 100, "id a"); err != nil {
				t.Fatal(err)
			}
			if next, _, err := offsets.Load(t.Context(), 3); err != nil || next != 100 {
				t.Errorf("the offset is %d afterwards, %v", next, err)
			}
		})
	}
}

func TestOffsetsReplaceOverwrittenIncarnations(t *testing.T) {
	t.Parallel()
	for how, overwrite := range overwrites {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			client, prefix := openRedis(t)
			offsets := redisstore.NewOffsets(client, prefix, slog.New(slog.DiscardHandler))
			if err := offsets.Advance(t.Context(), 3, 100, "id a"); err != nil {
				t.Fatal(err)
			}
			for name, store := range map[string]func() error{
				"binding":   func() error { return offsets.Bind(t.Context(), 3, "id b", 0) },
				"advancing": func() error { return offsets.Advance(t.Context(), 3, 200, "id b") },
			} {
				client.Del(t.Context(), prefix+"notification:origins")
				overwrite(t.Context(), client, prefix+"notification:origins")
				next, incarnation, err := offsets.Load(t.Context(), 3)
				if matches, _ := (kafka.PartitionLog{TopicID: "b"}).Matches(t.Context(), incarnation); err != nil || next < 100 || !matches {
					t.Fatalf("%d of %q, %v", next, incarnation, err)
				}
				if err := store(); err != nil {
					t.Fatal(err)
				}
				if _, incarnation, err := offsets.Load(t.Context(), 3); err != nil || name == "binding" && incarnation != "id b" {
					t.Errorf("after %s the incarnation is %q, %v", name, incarnation, err)
				}
			}
		})
	}
}
