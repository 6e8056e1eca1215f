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

var (
	//go:embed advance_offset.lua
	advanceLua string
	//go:embed bind_incarnation.lua
	bindLua string
	//go:embed clear_offset.lua
	clearLua string

	advanceScript = goredis.NewScript(advanceLua)
	bindScript    = goredis.NewScript(bindLua)
	clearScript   = goredis.NewScript(clearLua)
)

// Offsets is the ledger of handled records: for each partition the offset below
// which every record was handled, in the hash notification:offsets, and the origin
// of the log that the offset belongs to, in the hash notification:origins.
type Offsets struct {
	client          goredis.UniversalClient
	offsetsKey      string
	incarnationsKey string // a key of its own: an earlier version knows only numbers in the other
	log             *slog.Logger
}

// NewOffsets returns the ledger under prefix.
func NewOffsets(client goredis.UniversalClient, prefix string, log *slog.Logger) *Offsets {
	return &Offsets{client: client, offsetsKey: prefix + "notification:offsets", incarnationsKey: prefix + "notification:origins", log: log}
}

// Load returns the partition's offset, or 0 when none is stored, and its origin, or
// "" when that is not known. What somebody else wrote there is none, and is said to
// be so: the group's offset rules, and the marks of 24 hours recognise what comes
// again.
func (o *Offsets) Load(ctx context.Context, partition int32) (next int64, origin string, err error) {
	origin, err = o.client.HGet(ctx, o.incarnationsKey, partitionField(partition)).Result()
	if err != nil && !errors.Is(err, goredis.Nil) && !goredis.HasErrorPrefix(err, "WRONGTYPE") {
		return 0, "", fmt.Errorf("read the origin of partition %d: %w", partition, err)
	}
	next, err = o.client.HGet(ctx, o.offsetsKey, partitionField(partition)).Int64()
	if errors.Is(err, goredis.Nil) {
		return 0, origin, nil
	}
	if errors.Is(err, strconv.ErrSyntax) || errors.Is(err, strconv.ErrRange) || goredis.HasErrorPrefix(err, "WRONGTYPE") || next < 0 {
		o.log.ErrorContext(ctx, "the stored offset was overwritten: going on with the group's", "key", o.offsetsKey, "partition", partition, "error", err)
		return 0, origin, nil
	}
	if err != nil {
		return 0, "", fmt.Errorf("read the offset of partition %d: %w", partition, err)
	}
	return next, origin, nil
}

// Bind stores the origin of the log that the partition's offset belongs to.
func (o *Offsets) Bind(ctx context.Context, partition int32, origin string) error {
	if err := bindScript.Run(ctx, o.client, []string{o.incarnationsKey}, partitionField(partition), origin).Err(); err != nil {
		return fmt.Errorf("store the origin of partition %d: %w", partition, err)
	}
	return nil
}

// Advance stores that the records below next were handled, and the origin of the
// log that next belongs to. It moves forward only, and changes nothing when the
// partition is bound to another topic id than the origin's.
func (o *Offsets) Advance(ctx context.Context, partition int32, next int64, origin string) error {
	if err := advanceScript.Run(ctx, o.client, []string{o.offsetsKey, o.incarnationsKey}, partitionField(partition), next, origin).Err(); err != nil {
		return fmt.Errorf("store offset %d of partition %d: %w", next, partition, err)
	}
	return nil
}

// Forget removes the partition's offset if it still is next.
func (o *Offsets) Clear(ctx context.Context, partition int32, next int64) error {
	if err := clearScript.Run(ctx, o.client, []string{o.offsetsKey}, partitionField(partition), next).Err(); err != nil {
		return fmt.Errorf("forget offset %d of partition %d: %w", next, partition, err)
	}
	return nil
}

func partitionField(partition int32) string { return strconv.FormatInt(int64(partition), 10) }
