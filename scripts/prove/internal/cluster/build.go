package cluster

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"example.com/todo/scripts/internal/proc"
	"example.com/todo/scripts/internal/startup"
)

// buildServices builds the services with their failpoints.
func (c *Cluster) buildServices(ctx context.Context) error {
	tree, err := filepath.Abs(c.cfg.Tree)
	if err != nil {
		return err
	}
	err = c.cfg.Tools.Launcher.Run(ctx, startup.BuildCommand(tree, c.bin(), []string{Todo, Notification, Stats}, "-tags", "failpoints"))
	if err != nil {
		return fmt.Errorf("%w: %w", errBuild, err)
	}
	return nil
}

// errBuild means that the services cannot be built.
var errBuild = errors.New("the services could not be built")

func (c *Cluster) migrate(ctx context.Context) error {
	return c.RunCommand(ctx, Todo, "migrate")
}

// RunCommand runs a service's program with arguments such as "dlq", "list", with the settings of
// its replicas but without the proxies. The error contains its output.
func (c *Cluster) RunCommand(ctx context.Context, program string, args ...string) error {
	return c.cfg.Tools.Launcher.Run(ctx, proc.Command{
		Path: filepath.Join(c.bin(), program), Args: args,
		Env: append(c.environment(program), "POSTGRES_DSN="+c.PostgresDSN(), "KAFKA_BROKERS="+c.Brokers()[0],
			"REDIS_ADDR="+c.redis.Addr(), "REDIS_CACHE_ADDR="+c.cache.Addr()),
	})
}
