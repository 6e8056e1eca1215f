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
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"example.com/todo/platform/apperr"
	"example.com/todo/stats-service/internal/stats"
)

//go:embed read_counters.lua
var readLua string

var readScript = goredis.NewScript(readLua)

// retryAfter is when a reader that met Redis away may try again.
const retryAfter = time.Second

// Store is stats.Store on Redis. Its keys all begin with prefix; on a Redis
// Cluster the prefix must hold a hash tag, like {stats}, for scripts touch
// several keys at once.
type Store struct {
	client        goredis.UniversalClient
	prefix        string
	ttl           time.Duration // of the counters since they last moved; zero is for ever
	newGeneration func() string // of a new generation

	generation atomic.Pointer[string] // as last heard: it says which marks apply.lua needs
}

// New returns the store under prefix. The client must not repeat commands by
// itself.
func New(client goredis.UniversalClient, prefix string) *Store {
	return &Store{client: client, prefix: prefix, newGeneration: rand.Text}
}

// Read implements stats.Store. The figures are those of one moment. While Redis
// can not be asked, and while what it holds was overwritten and is yet to be
// counted anew, the error is fault.Unavailable.
func (s *Store) Read(ctx context.Context, days []string) (stats.Counters, error) {
	keys := []string{s.total(), s.days(), s.offsets(), s.targets(), s.RebuildLock()}
	args := make([]any, len(days))
	for i, day := range days {
		keys, args[i] = append(keys, s.day(day)), day
	}
	answer, err := readScript.Run(ctx, s.client, keys, args...).Slice()
	if err != nil {
		return stats.Counters{}, unavailable(err)
	}
	if len(answer) != 5 {
		return stats.Counters{}, unavailable(errors.New("a counter was overwritten; it is about to be counted anew"))
	}
	var f stats.Counters
	counts, ok1 := answer[0].([]any)
	offsets, ok2 := answer[1].([]any)
	targets, ok3 := answer[2].([]any)
	lock, ok4 := answer[3].(int64)
	total, ok5 := answer[4].(int64)
	if !ok1 || !ok2 || !ok3 || !ok4 || !ok5 || len(counts) != len(days) {
		return stats.Counters{}, fmt.Errorf("read the counters: strange answer %v", answer)
	}
	f.Total, f.Rebuilding = total, lock > 0
	f.Days = make([]int64, len(days))
	for i, n := range counts {
		f.Days[i], _ = n.(int64)
	}
	f.Offsets, f.Targets = parseOffsets(toStrings(offsets)), parseOffsets(toStrings(targets))
	return f, nil
}

func unavailable(why error) error {
	refusal := apperr.New(apperr.Unavailable, "the statistics can not be read at present")
	refusal.RetryAfter = retryAfter
	return refusal.WithCause(why)
}

// toStrings is a reply of texts in turn: a field and its value.
func toStrings(reply []any) []string {
	all := make([]string, len(reply))
	for i, text := range reply {
		all[i], _ = text.(string)
	}
	return all
}

// parseOffsets leaves out what is no partition, such as the generation, and what is
// no offset: the partition has not begun.
func parseOffsets(fields []string) map[int32]int64 {
	offsets := make(map[int32]int64, len(fields)/2)
	for i := 0; i+1 < len(fields); i += 2 {
		partition, err := strconv.ParseInt(fields[i], 10, 32)
		offset, err2 := strconv.ParseInt(fields[i+1], 10, 64)
		if err == nil && err2 == nil && offset >= 0 {
			offsets[int32(partition)] = offset
		}
	}
	return offsets
}
