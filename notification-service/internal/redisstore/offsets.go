package redisstore

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"strconv"

	goredis "github.com/redis/go-redis/v9"
)

// Offsets implements the consumer's Offsets in Redis: how far each partition was handled,
// so that redelivered records are recognised. The hash notification:offsets has
// for each partition the offset below which every record was handled, the hash
// notification:origins the incarnation that the offset belongs to.
type Offsets struct {
	client          goredis.UniversalClient
	offsetsKey      string
	incarnationsKey string // a second hash, because an earlier version reads only numbers in the first
	log             *slog.Logger
}

var (
	//go:embed advance_offset.lua
	advanceLua string
	//go:embed bind_incarnation.lua
	bindLua string

	advanceScript = goredis.NewScript(advanceLua)
	bindScript    = goredis.NewScript(bindLua)
)

// NewOffsets returns the offsets under prefix.
func NewOffsets(client goredis.UniversalClient, prefix string, log *slog.Logger) *Offsets {
	return &Offsets{client: client, offsetsKey: prefix + "notification:offsets", incarnationsKey: prefix + "notification:origins", log: log}
}

// Load implements consumer.Offsets. An overwritten offset is logged and counts as none:
// the group's offset rules, and the dedup keys of 24 hours recognise redelivered events.
func (o *Offsets) Load(ctx context.Context, partition int32) (next int64, incarnation string, err error) {
	incarnation, err = o.client.HGet(ctx, o.incarnationsKey, partitionField(partition)).Result()
	if err != nil && !errors.Is(err, goredis.Nil) && !goredis.HasErrorPrefix(err, "WRONGTYPE") {
		return 0, "", fmt.Errorf("read the incarnation of partition %d: %w", partition, err)
	}
	next, err = o.client.HGet(ctx, o.offsetsKey, partitionField(partition)).Int64()
	if errors.Is(err, goredis.Nil) {
		return 0, incarnation, nil
	}
	if errors.Is(err, strconv.ErrSyntax) || errors.Is(err, strconv.ErrRange) || goredis.HasErrorPrefix(err, "WRONGTYPE") || next < 0 {
		o.log.ErrorContext(ctx, "another program overwrote the stored offset: continuing at the group's offset", "key", o.offsetsKey, "partition", partition, "error", err)
		return 0, incarnation, nil
	}
	if err != nil {
		return 0, "", fmt.Errorf("read the offset of partition %d: %w", partition, err)
	}
	return next, incarnation, nil
}

// Bind implements consumer.Offsets.
func (o *Offsets) Bind(ctx context.Context, partition int32, incarnation string, foreign int64) error {
	keys := []string{o.offsetsKey, o.incarnationsKey}
	if err := bindScript.Run(ctx, o.client, keys, partitionField(partition), incarnation, foreign).Err(); err != nil {
		return fmt.Errorf("store the incarnation of partition %d: %w", partition, err)
	}
	return nil
}

// Advance implements consumer.Offsets.
func (o *Offsets) Advance(ctx context.Context, partition int32, next int64, incarnation string) error {
	keys := []string{o.offsetsKey, o.incarnationsKey}
	if err := advanceScript.Run(ctx, o.client, keys, partitionField(partition), next, incarnation).Err(); err != nil {
		return fmt.Errorf("store offset %d of partition %d: %w", next, partition, err)
	}
	return nil
}

func partitionField(partition int32) string { return strconv.FormatInt(int64(partition), 10) }
