package consumer_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	goredis "github.com/redis/go-redis/v9"

	"example.com/todo/notification-service/internal/consumer"
	"example.com/todo/notification-service/internal/notify"
	"example.com/todo/notification-service/internal/redisstore"
	"example.com/todo/platform/kafka"
	"example.com/todo/platform/testenv"
)

type discardSender struct{}

func (discardSender) Send(context.Context, notify.Notification) error { return nil }

// BenchmarkHandlerCompletions measures the claims: batches of 200 completions in six
// partitions, a sender without cost, a real Redis.
func BenchmarkHandlerCompletions(b *testing.B) {
	const partitions, batch = 6, 200
	client := goredis.NewClient(&goredis.Options{Addr: testenv.RequireEnv(b, "TEST_REDIS_ADDR")})
	defer client.Close()
	prefix := "bench-" + rand.Text() + ":"
	service := notify.NewService(redisstore.NewClaimStore(client, prefix, time.Minute, slog.New(slog.DiscardHandler)), discardSender{})
	handler := consumer.New(service, redisstore.NewOffsets(client, prefix, slog.New(slog.DiscardHandler)), nil, slog.New(slog.DiscardHandler), prometheus.NewRegistry())

	b.ResetTimer()
	var working sync.WaitGroup
	for partition := range int32(partitions) {
		working.Go(func() {
			for offset := 0; offset < b.N; offset += batch {
				records := make([]kafka.Record, min(batch, b.N-offset))
				for i := range records {
					id := fmt.Sprintf("e%d-%d", partition, offset+i)
					records[i] = kafka.Record{Partition: partition, Offset: int64(offset + i), Value: []byte(completed(id, "Learn Go"))}
				}
				if _, err := handler.Handle(context.Background(), records); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	working.Wait()
	b.ReportMetric(float64(partitions*b.N)/b.Elapsed().Seconds(), "completions/s")
}
