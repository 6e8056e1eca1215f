// Package redisstore keeps the counters of stats-service in Redis, with the
// offsets they belong to and the marks of what was counted.
package redisstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"example.com/todo/platform/fault"
	"example.com/todo/stats-service/internal/stats"
)

// generation is the field beside the offsets that tells this count's marks from
// those of an earlier one.
const generation = "generation"

// retryAfter is when a reader that met Redis away may try again.
const retryAfter = time.Second

// Store is stats.Store on Redis. Its keys all begin with prefix; on a Redis
// Cluster the prefix must hold a hash tag, like {stats}, for scripts touch
// several keys at once.
type Store struct {
	client   goredis.UniversalClient
	prefix   string
	lifetime time.Duration // of the counters since they last moved; zero is for ever
	names    func() string // of a new generation

	generation atomic.Pointer[string] // as last heard: it says which marks apply.lua needs
}

// New returns the store under prefix. The client must not repeat commands by
// itself.
func New(client goredis.UniversalClient, prefix string) *Store {
	return &Store{client: client, prefix: prefix, names: rand.Text}
}

// Read implements stats.Store. The figures are those of one moment. While Redis
// can not be asked the error is fault.Unavailable.
func (s *Store) Read(ctx context.Context, days []string) (stats.Figures, error) {
	var total *goredis.StringCmd
	var rebuilding *goredis.IntCmd
	var offsets, targets *goredis.MapStringStringCmd
	byDay := make([]*goredis.StringCmd, len(days))
	_, err := s.client.TxPipelined(ctx, func(tx goredis.Pipeliner) error {
		total = tx.Get(ctx, s.total())
		for i, day := range days {
			byDay[i] = tx.Get(ctx, s.day(day))
		}
		offsets = tx.HGetAll(ctx, s.offsets())
		targets = tx.HGetAll(ctx, s.targets())
		rebuilding = tx.Exists(ctx, s.RebuildLock())
		return nil
	})
	if err != nil && !errors.Is(err, goredis.Nil) {
		refusal := fault.New(fault.Unavailable, "the statistics can not be read at present")
		refusal.RetryAfter = retryAfter
		return stats.Figures{}, refusal.Because(err)
	}
	f := stats.Figures{Days: make([]int64, len(days)), Rebuilding: rebuilding.Val() == 1}
	if f.Total, err = count(total); err != nil {
		return stats.Figures{}, err
	}
	for i, day := range byDay {
		if f.Days[i], err = count(day); err != nil {
			return stats.Figures{}, err
		}
	}
	if f.Offsets, err = byPartition(offsets); err != nil {
		return stats.Figures{}, err
	}
	f.Targets, err = byPartition(targets)
	return f, err
}

// count reads a counter; one that is not there stands at zero.
func count(cmd *goredis.StringCmd) (int64, error) {
	n, err := cmd.Int64()
	if err != nil && !errors.Is(err, goredis.Nil) {
		return 0, fmt.Errorf("read the counters: %w", err)
	}
	return n, nil
}

func byPartition(cmd *goredis.MapStringStringCmd) (map[int32]int64, error) {
	fields, err := cmd.Result()
	if err != nil {
		return nil, fmt.Errorf("read the offsets: %w", err)
	}
	return offsetsOf(fields)
}

// offsetsOf leaves out the generation.
func offsetsOf(fields map[string]string) (map[int32]int64, error) {
	offsets := make(map[int32]int64, len(fields))
	for field, value := range fields {
		if field == generation {
			continue
		}
		partition, err := strconv.ParseInt(field, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("read the offsets: partition %q: %w", field, err)
		}
		if offsets[int32(partition)], err = strconv.ParseInt(value, 10, 64); err != nil {
			return nil, fmt.Errorf("read the offsets: partition %s: %w", field, err)
		}
	}
	return offsets, nil
}
