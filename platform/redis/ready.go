package redis

import (
	"context"
	_ "embed"
	"fmt"

	goredis "github.com/redis/go-redis/v9"
)

//go:embed ready.lua
var readyLua string

var readyScript = goredis.NewScript(readyLua)

// Ready returns nil when Redis takes what a consumer's scripts do, and otherwise
// why not: it is away, full or read-only, or its rights forbid a command. It uses
// the key <prefix>ready:<name> and leaves nothing there.
func Ready(ctx context.Context, client goredis.UniversalClient, prefix, name string) error {
	if err := readyScript.Run(ctx, client, []string{prefix + "ready:" + name}).Err(); err != nil {
		return fmt.Errorf("redis does not take what this service writes: %w", err)
	}
	return nil
}
