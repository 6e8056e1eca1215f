package redis

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"strconv"

	goredis "github.com/redis/go-redis/v9"
)

//go:embed compare_and_swap.lua
var compareAndSwapLua string

var compareAndSwapScript = goredis.NewScript(compareAndSwapLua)

// QuarantineStore stores the in-flight markers of one Kafka consumer group, in the hash inflight:<group> with a
// field for each partition.
type QuarantineStore struct {
	client goredis.UniversalClient
	key    string
	log    *slog.Logger
}

// NewQuarantineStore returns the store of the group, with a key under prefix.
func NewQuarantineStore(client goredis.UniversalClient, prefix, group string, log *slog.Logger) *QuarantineStore {
	return &QuarantineStore{client: client, key: prefix + "inflight:" + group, log: log}
}

// Load returns the partition's marker, or "" if there is none. If the key was overwritten with another type,
// Load logs that and returns "": the crash counts are lost.
func (s *QuarantineStore) Load(ctx context.Context, partition int32) (string, error) {
	marker, err := s.client.HGet(ctx, s.key, strconv.Itoa(int(partition))).Result()
	if goredis.HasErrorPrefix(err, "WRONGTYPE") { // CompareAndSwap deletes the key
		s.log.ErrorContext(ctx, "redis: the in-flight markers were overwritten, crash counts are lost", "key", s.key, "partition", partition)
		return "", nil
	}
	if err != nil && !errors.Is(err, goredis.Nil) {
		return "", fmt.Errorf("load the in-flight marker of partition %d: %w", partition, err)
	}
	return marker, nil
}

// CompareAndSwap replaces the partition's marker by next if it is old, and reports whether it was. "" is no
// marker.
func (s *QuarantineStore) CompareAndSwap(ctx context.Context, partition int32, old, next string) (bool, error) {
	swapped, err := compareAndSwapScript.Run(ctx, s.client, []string{s.key}, partition, old, next).Bool()
	if err != nil {
		return false, fmt.Errorf("swap the in-flight marker of partition %d: %w", partition, err)
	}
	return swapped, nil
}
