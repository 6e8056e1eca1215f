// Package redisstore keeps the counters of stats-service in Redis, with the
// offsets they belong to and the marks of what was counted.
package redisstore

import (
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"strconv"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"example.com/todo/platform/fault"
	"example.com/todo/stats-service/internal/stats"
)

// keep is how long a completion is recognised by its event's identity, at
// another place in the log.
const keep = 24 * time.Hour

// generation is the field beside the offsets that tells this count's marks from
// those of an earlier one.
const generation = "generation"

// retryAfter is when a reader that met Redis away may try again.
const retryAfter = time.Second

var (
	//go:embed begin.lua
	beginLua string
	//go:embed apply.lua
	applyLua string

	beginScript = goredis.NewScript(beginLua)
	applyScript = goredis.NewScript(applyLua)
)

// Store is stats.Store on Redis. Its keys all begin with prefix; on a Redis
// Cluster the prefix must hold a hash tag, like {stats}, for scripts touch
// several keys at once.
type Store struct {
	client goredis.UniversalClient
	prefix string
}

// New returns the store under prefix. The client must not repeat commands by
// itself.
func New(client goredis.UniversalClient, prefix string) *Store {
	return &Store{client: client, prefix: prefix}
}

// Begin implements stats.Store.
func (s *Store) Begin(ctx context.Context, partition int32, log stats.Bounds) (stats.Beginning, error) {
	return s.begin(ctx, partition, log, "")
}

// Restart implements stats.Store.
func (s *Store) Restart(ctx context.Context, partition int32, log stats.Bounds, stored int64) (stats.Beginning, error) {
	b, err := s.begin(ctx, partition, log, strconv.FormatInt(stored, 10))
	b.Stored = stored
	return b, err
}

func (s *Store) begin(ctx context.Context, partition int32, log stats.Bounds, discard string) (stats.Beginning, error) {
	keys := []string{s.offsets(), s.targets(), s.total(), s.days()}
	answer, err := beginScript.Run(ctx, s.client, keys, partition, log.Oldest, log.Newest, s.day(""), discard, rand.Text()).Slice()
	if err != nil {
		return stats.Beginning{}, fmt.Errorf("begin with partition %d: %w", partition, err)
	}
	offset, ok1 := answer[0].(int64)
	reason, ok2 := answer[1].(string)
	if !ok1 || !ok2 {
		return stats.Beginning{}, fmt.Errorf("begin with partition %d: strange answer %v", partition, answer)
	}
	return stats.Beginning{Offset: offset, Recount: stats.Recount(reason)}, nil
}

// Apply implements stats.Store.
func (s *Store) Apply(ctx context.Context, b stats.Batch) (stats.Tally, error) {
	keys := []string{s.offsets(), s.total(), s.days()}
	args := []any{b.Partition, b.From, b.Next, int(keep.Seconds()), len(b.Completions)}
	var days []string
	number := map[string]int{}
	for _, c := range b.Completions {
		if number[c.Day] == 0 {
			days = append(days, c.Day)
			number[c.Day] = len(days)
		}
		keys = append(keys, s.prefix+"stats:processed:"+c.Mark)
		args = append(args, c.Offset, number[c.Day])
	}
	for _, day := range days {
		keys = append(keys, s.day(day))
		args = append(args, day)
	}
	counted, err := applyScript.Run(ctx, s.client, keys, args...).Int()
	if err != nil {
		return stats.Tally{}, fmt.Errorf("count offsets %d to %d of partition %d: %w", b.From, b.Next-1, b.Partition, err)
	}
	if counted < 0 {
		return stats.Tally{}, stats.ErrMoved
	}
	return stats.Tally{Counted: counted, Duplicates: len(b.Completions) - counted}, nil
}

// Read implements stats.Store. The figures are those of one moment. While Redis
// can not be asked the error is fault.Unavailable.
func (s *Store) Read(ctx context.Context, days []string) (stats.Figures, error) {
	var total *goredis.StringCmd
	var offsets, targets *goredis.MapStringStringCmd
	byDay := make([]*goredis.StringCmd, len(days))
	_, err := s.client.TxPipelined(ctx, func(tx goredis.Pipeliner) error {
		total = tx.Get(ctx, s.total())
		for i, day := range days {
			byDay[i] = tx.Get(ctx, s.day(day))
		}
		offsets = tx.HGetAll(ctx, s.offsets())
		targets = tx.HGetAll(ctx, s.targets())
		return nil
	})
	if err != nil && !errors.Is(err, goredis.Nil) {
		refusal := fault.New(fault.Unavailable, "the statistics can not be read at present")
		refusal.RetryAfter = retryAfter
		return stats.Figures{}, refusal.Because(err)
	}
	f := stats.Figures{Days: make([]int64, len(days))}
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
