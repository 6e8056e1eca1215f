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

// Ready is a readiness check: it returns an error if Redis does not execute the commands of a consumer's
// scripts, because it is unreachable, full or read-only, or because an ACL forbids one. It uses the
// key <prefix>ready:<name> and deletes it.
func Ready(ctx context.Context, client goredis.UniversalClient, prefix, name string) error {
	if err := readyScript.Run(ctx, client, []string{prefix + "ready:" + name}).Err(); err != nil {
		return fmt.Errorf("redis does not execute this service's commands: %w", err)
	}
	return nil
}
