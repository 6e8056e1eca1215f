// Package startup starts a system in the order of its dependencies. What does not depend on each other
// runs in parallel:
//
//	build ──────────────────┐
//	PostgreSQL ─> database ─┼─> migrate ─> rights ─> services
//	Kafka ─> topics ────────┤
//	other servers ──────────┘
package startup

import (
	"context"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"example.com/todo/scripts/internal/proc"
	"example.com/todo/scripts/internal/server"
)

// Plan says what to start and how.
type Plan struct {
	// StartPart starts a server or a service and returns when it is ready.
	StartPart func(ctx context.Context, name string) error
	Build     func(ctx context.Context) error // builds the services
	Migrate   func(ctx context.Context) error // migrates the schema, with a built service

	Postgres server.Postgres
	Kafka    server.KafkaClient
	Topics   []server.Topic
	Servers  []string // the names of the servers beside postgres and kafka
	Services []string
}

// Run executes the plan. At the first error it cancels the other steps and returns that error; the caller
// stops the parts that run.
func (p Plan) Run(ctx context.Context) error {
	servers, ctxServers := errgroup.WithContext(ctx)
	servers.Go(func() error { return p.Build(ctxServers) })
	servers.Go(func() error {
		if err := p.StartPart(ctxServers, "postgres"); err != nil {
			return err
		}
		return p.Postgres.EnsureDatabase(ctxServers)
	})
	servers.Go(func() error {
		if err := p.StartPart(ctxServers, "kafka"); err != nil {
			return err
		}
		if err := p.Kafka.EnsureTopics(ctxServers, p.Topics...); err != nil {
			return err
		}
		return p.Kafka.EnsureRights(ctxServers)
	})
	for _, name := range p.Servers {
		servers.Go(func() error { return p.StartPart(ctxServers, name) })
	}
	if err := servers.Wait(); err != nil {
		return err
	}
	if err := p.Migrate(ctx); err != nil {
		return err
	}
	if err := p.Postgres.EnsureRights(ctx); err != nil {
		return err
	}
	services, ctx := errgroup.WithContext(ctx)
	for _, name := range p.Services {
		services.Go(func() error { return p.StartPart(ctx, name) })
	}
	return services.Wait()
}

// BuildCommand describes the go build of the services of a source tree into the folder bin.
func BuildCommand(tree, bin string, services []string, flags ...string) proc.Command {
	args := append([]string{"build"}, flags...)
	args = append(args, "-o", bin+string(filepath.Separator))
	for _, name := range services {
		args = append(args, "./"+name+"/cmd/"+name)
	}
	return proc.Command{
		Path: "go", Args: args, Dir: tree,
		// The caller's environment may switch the workspace off, to test one module alone.
		Env: append(os.Environ(), "GOWORK="+filepath.Join(tree, "go.work")),
	}
}
