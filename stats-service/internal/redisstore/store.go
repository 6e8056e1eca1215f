package redisstore

import (
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"example.com/todo/platform/apperr"
	"example.com/todo/stats-service/internal/stats"
)

var (
	//go:embed read_counters.lua
	readLua string
	//go:embed read_user.lua
	readUserLua string

	readScript     = goredis.NewScript(readLua)
	readUserScript = goredis.NewScript(readUserLua)
)

// retryAfter is the Retry-After sent to a client while Redis is down.
const retryAfter = time.Second

// Store is a stats.Store: Read and ReadUser are here, Resume, Reset and Apply are in count.go. All its keys start with prefix; in a Redis Cluster the prefix
// must contain a hash tag, like {stats}, because a script uses several keys.
type Store struct {
	client        goredis.UniversalClient
	prefix        string
	ttl           time.Duration // of the counters since their last change; zero is without end
	newGeneration func() string // returns a name

	generation atomic.Pointer[string] // as last read from Redis; it decides which keys the scripts get
}

// New returns the store under prefix. The client must not retry commands.
func New(client goredis.UniversalClient, prefix string) *Store {
	return &Store{client: client, prefix: prefix, newGeneration: rand.Text}
}

// Read implements stats.Store. The counters are a snapshot. The error is
// apperr.Unavailable while Redis is down, and after another program overwrote a counter
// until its recount starts.
func (s *Store) Read(ctx context.Context, days []string) (stats.Counters, error) {
	keys := []string{s.totalKey(), s.daysKey(), s.offsetsKey(), s.targetsKey(), s.RebuildLockKey()}
	args := make([]any, len(days))
	for i, day := range days {
		keys, args[i] = append(keys, s.dayKey(day)), day
	}
	reply, err := readScript.Run(ctx, s.client, keys, args...).Slice()
	return parseCounters(reply, err)
}

// ReadUser implements stats.Store. Its result and its errors are as those of Read.
func (s *Store) ReadUser(ctx context.Context, user string, days []string) (stats.Counters, error) {
	for {
		generation := s.knownGeneration()
		keys := []string{s.usersKey(), s.offsetsKey(), s.targetsKey(), s.RebuildLockKey(), s.userKey(user), s.shadow(generation).userKey(user)}
		args := []any{generation, user}
		for _, day := range days {
			args = append(args, day)
		}
		reply, err := readUserScript.Run(ctx, s.client, keys, args...).Result()
		if other, ok := reply.(string); ok && err == nil {
			s.generation.Store(&other)
			continue
		}
		fields, _ := reply.([]any)
		if len(fields) == 1 {
			// Checks the user's counters again, and starts the recount. A failure shows at the next read.
			_, _ = s.settleBatch(ctx, generation, []string{user})
		}
		return parseCounters(fields, err)
	}
}

func parseCounters(reply []any, err error) (stats.Counters, error) {
	if err != nil {
		return stats.Counters{}, unavailable(err)
	}
	if len(reply) != 5 {
		return stats.Counters{}, unavailable(errors.New("another program overwrote a counter; a recount is about to start"))
	}
	counts, _ := reply[0].([]any)
	lockTTL, _ := reply[3].(int64)
	total, _ := reply[4].(int64)
	counters := stats.Counters{
		Total: total, Days: make([]int64, len(counts)), Rebuilding: lockTTL > 0,
		Offsets: parseOffsets(toMap(reply[1])), Targets: parseOffsets(toMap(reply[2])),
	}
	for i, n := range counts {
		counters.Days[i], _ = n.(int64)
	}
	return counters, nil
}

func unavailable(cause error) error {
	err := apperr.New(apperr.Unavailable, "the statistics cannot be read at present")
	err.RetryAfter = retryAfter
	return err.WithCause(cause)
}

// toMap converts a reply that has each field and its value in turn.
func toMap(reply any) map[string]string {
	fields := map[string]string{}
	list, _ := reply.([]any)
	for pair := range slices.Chunk(list, 2) {
		field, _ := pair[0].(string)
		fields[field], _ = pair[1].(string)
	}
	return fields
}

// parseOffsets returns the offsets by partition. It skips fields that are not partitions,
// such as the generation, and values that are not offsets.
func parseOffsets(fields map[string]string) map[int32]int64 {
	offsets := make(map[int32]int64, len(fields))
	for field, value := range fields {
		partition, err := strconv.ParseInt(field, 10, 32)
		offset, err2 := strconv.ParseInt(value, 10, 64)
		if err == nil && err2 == nil && offset >= 0 {
			offsets[int32(partition)] = offset
		}
	}
	return offsets
}
