package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"example.com/todo/scripts/internal/proc"
)

// buildServices builds the services with their failpoints.
func (s *Cluster) buildServices(ctx context.Context) error {
	tree, err := filepath.Abs(s.cfg.Tree)
	if err != nil {
		return err
	}
	args := []string{"build", "-tags", "failpoints", "-o", s.bin() + string(filepath.Separator)}
	for _, name := range []string{Todo, Notification, Stats} {
		args = append(args, "./"+name+"/cmd/"+name)
	}
	err = s.cfg.Tools.Launcher.Run(ctx, proc.Command{
		Path: "go", Args: args, Dir: tree, Env: append(os.Environ(), "GOWORK="+filepath.Join(tree, "go.work")),
	})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBuild, err)
	}
	return nil
}

// ErrBuild means that the services cannot be built.
var ErrBuild = errors.New("the services could not be built")

func (s *Cluster) migrate(ctx context.Context) error {
	return s.RunCommand(ctx, Todo, "migrate")
}

// RunCommand runs a service's program with arguments such as "dlq", "list", with the settings of
// its replicas but without the proxies. The error contains its output.
func (s *Cluster) RunCommand(ctx context.Context, program string, args ...string) error {
	return s.cfg.Tools.Launcher.Run(ctx, proc.Command{
		Path: filepath.Join(s.bin(), program), Args: args,
		Env: append(s.environment(program), "POSTGRES_DSN="+s.PostgresDSN(), "KAFKA_BROKERS="+s.Brokers()[0],
			"REDIS_ADDR="+s.redis.Addr(), "REDIS_CACHE_ADDR="+s.cache.Addr()),
	})
}
