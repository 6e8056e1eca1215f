package redisstore_test

import (
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/todo/platform/testenv"
	"example.com/todo/stats-service/internal/redisstore"
	"example.com/todo/stats-service/internal/stats"
)

const (
	benchUsers = 10_000
	benchDays  = 10
	benchBatch = 1_000
)

// benchLog calls visit with the batches of a log: each user completes one task on each day.
func benchLog(b *testing.B, visit func(stats.Batch)) {
	b.Helper()
	first := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for from := int64(0); from < benchUsers*benchDays; from += benchBatch {
		batch := stats.Batch{From: from, Next: from + benchBatch}
		for offset := from; offset < batch.Next; offset++ {
			batch.Completions = append(batch.Completions, stats.Completion{
				DedupKey: fmt.Sprint("task.completed:", offset), User: strconv.FormatInt(offset%benchUsers, 10),
				Day: first.AddDate(0, 0, int(offset/benchUsers)).Format(time.DateOnly), Offset: offset,
			})
		}
		visit(batch)
	}
}

func openBenchRedis(b *testing.B) *redis.Client {
	b.Helper()
	client := redis.NewClient(&redis.Options{Addr: testenv.StartRedis(b), MaxRetries: -1, ReadTimeout: 10 * time.Second})
	b.Cleanup(func() { client.Close() })
	return client
}

// BenchmarkSwap swaps in a rebuild of 10,000 users with 10 days each. Redis executes
// nothing else meanwhile.
func BenchmarkSwap(b *testing.B) {
	const most = 50 * time.Millisecond
	client := openBenchRedis(b)
	count := func(store *redisstore.Store) {
		if _, err := store.Resume(b.Context(), 0, stats.LogRange{Newest: benchUsers * benchDays}); err != nil {
			b.Fatal(err)
		}
		benchLog(b, func(batch stats.Batch) {
			if _, err := store.Apply(b.Context(), batch); err != nil {
				b.Fatal(err)
			}
		})
	}
	live := redisstore.New(client, "")
	count(live)
	var times []time.Duration
	for b.Loop() {
		b.StopTimer()
		client.Set(b.Context(), live.RebuildLockKey(), "token", time.Hour)
		shadow := live.NewShadow("token")
		count(shadow.Store())
		client.Del(b.Context(), "stats:users:retired") // as the settler leaves it
		start := time.Now()
		b.StartTimer()
		if _, err := shadow.Swap(b.Context(), nil); err != nil {
			b.Fatal(err)
		}
		times = append(times, time.Since(start))
	}
	slices.Sort(times)
	if median := times[len(times)/2]; median > most {
		b.Errorf("half of the swaps took %v or longer, want at most %v: %v", median, most, times)
	}
	b.ReportMetric(float64(times[len(times)-1].Microseconds())/1e3, "max-ms")
	report, err := live.ReadUser(b.Context(), "7", []string{"2026-01-10"})
	if err != nil || report.Total != benchDays || report.Days[0] != 1 {
		b.Errorf("user 7 after the swap: %+v, %v", report, err)
	}
}

// BenchmarkApply counts batches of completions with and without users.
func BenchmarkApply(b *testing.B) {
	for name, user := range map[string]func(i int64) string{
		"without users":      func(int64) string { return "" },
		"1,000 users":        func(i int64) string { return strconv.FormatInt(i, 10) },
		"one user per batch": func(int64) string { return "7" },
	} {
		b.Run(name, func(b *testing.B) {
			store := redisstore.New(openBenchRedis(b), "")
			if _, err := store.Resume(b.Context(), 0, stats.LogRange{}); err != nil {
				b.Fatal(err)
			}
			from := int64(0)
			for b.Loop() {
				batch := stats.Batch{From: from, Next: from + benchBatch}
				for i := range int64(benchBatch) {
					batch.Completions = append(batch.Completions, stats.Completion{
						DedupKey: fmt.Sprint("task.completed:", from+i), User: user(i), Day: day, Offset: from + i,
					})
				}
				if _, err := store.Apply(b.Context(), batch); err != nil {
					b.Fatal(err)
				}
				from = batch.Next
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(from), "µs/completion")
		})
	}
}
