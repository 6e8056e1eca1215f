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
	//go:embed advance.lua
	advanceLua string
	//go:embed forget.lua
	forgetLua string

	advanceScript = goredis.NewScript(advanceLua)
	forgetScript  = goredis.NewScript(forgetLua)
)

// Offsets is the ledger of handled records: for each partition the offset below
// which every record was handled, in the hash notification:offsets.
type Offsets struct {
	client goredis.UniversalClient
	key    string
	log    *slog.Logger
}

// NewOffsets returns the ledger under prefix.
func NewOffsets(client goredis.UniversalClient, prefix string, log *slog.Logger) *Offsets {
	return &Offsets{client: client, key: prefix + "notification:offsets", log: log}
}

// Load returns the partition's offset, or 0 when none is stored. What somebody else
// wrote there is none, and is said to be so: the group's offset rules, and the marks
// of 24 hours recognise what comes again.
func (o *Offsets) Load(ctx context.Context, partition int32) (int64, error) {
	next, err := o.client.HGet(ctx, o.key, field(partition)).Int64()
	if errors.Is(err, goredis.Nil) {
		return 0, nil
	}
	if errors.Is(err, strconv.ErrSyntax) || errors.Is(err, strconv.ErrRange) || goredis.HasErrorPrefix(err, "WRONGTYPE") || next < 0 {
		o.log.ErrorContext(ctx, "the stored offset was overwritten: going on with the group's", "key", o.key, "partition", partition, "error", err)
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read the offset of partition %d: %w", partition, err)
	}
	return next, nil
}

// Advance stores that the records below next were handled. It moves forward only.
func (o *Offsets) Advance(ctx context.Context, partition int32, next int64) error {
	if err := advanceScript.Run(ctx, o.client, []string{o.key}, field(partition), next).Err(); err != nil {
		return fmt.Errorf("store offset %d of partition %d: %w", next, partition, err)
	}
	return nil
}

// Forget removes the partition's offset if it still is next.
func (o *Offsets) Forget(ctx context.Context, partition int32, next int64) error {
	if err := forgetScript.Run(ctx, o.client, []string{o.key}, field(partition), next).Err(); err != nil {
		return fmt.Errorf("forget offset %d of partition %d: %w", next, partition, err)
	}
	return nil
}

func field(partition int32) string { return strconv.FormatInt(int64(partition), 10) }
