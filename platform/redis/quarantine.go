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

// QuarantineStore is a kafka.InHand: the marks of one consumer group, by partition, in
// the hash inflight:<group>.
type QuarantineStore struct {
	client goredis.UniversalClient
	key    string
	log    *slog.Logger
}

// NewQuarantineStore returns the group's marks under prefix. The log is told when all of them were
// overwritten from outside.
func NewQuarantineStore(client goredis.UniversalClient, prefix, group string, log *slog.Logger) *QuarantineStore {
	return &QuarantineStore{client: client, key: prefix + "inflight:" + group, log: log}
}

// Mark returns the partition's mark, or "" when there is none.
func (m *QuarantineStore) Load(ctx context.Context, partition int32) (string, error) {
	mark, err := m.client.HGet(ctx, m.key, strconv.Itoa(int(partition))).Result()
	if goredis.HasErrorPrefix(err, "WRONGTYPE") { // Swap begins anew
		m.log.ErrorContext(ctx, "the marks of what is in hand were overwritten: what is known of deaths is forgotten", "key", m.key, "partition", partition)
		return "", nil
	}
	if err != nil && !errors.Is(err, goredis.Nil) {
		return "", fmt.Errorf("read the mark of partition %d: %w", partition, err)
	}
	return mark, nil
}

// Swap makes next the partition's mark if it still is old, and tells whether it
// was. "" is no mark.
func (m *QuarantineStore) CompareAndSwap(ctx context.Context, partition int32, old, next string) (bool, error) {
	swapped, err := compareAndSwapScript.Run(ctx, m.client, []string{m.key}, partition, old, next).Bool()
	if err != nil {
		return false, fmt.Errorf("change the mark of partition %d: %w", partition, err)
	}
	return swapped, nil
}
