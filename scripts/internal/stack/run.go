// Package stack runs the whole system on one machine without containers: PostgreSQL, Redis, Kafka and the
// three services, each a process of its own. A stack has a folder, a lock on it, and a control socket in it.
package stack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"example.com/todo/scripts/internal/proc"
	"example.com/todo/scripts/internal/server"
	"example.com/todo/scripts/internal/startup"
	"example.com/todo/scripts/internal/supervisor"
	"example.com/todo/scripts/internal/toolchain"
)

// stopTimeout is for all parts together: Ctrl-C promises 10 s, and one is left for everything else.
const stopTimeout = 9 * time.Second

// Run runs a stack until ctx ends, and then stops it in order. The result is nil for a stack that became
// ready and was stopped, and a *supervisor.UnexpectedExit if a part exited without a stop.
func Run(ctx context.Context, t toolchain.Tools, s Settings) (err error) {
	began := time.Now()
	release, err := acquireLock(ctx, s.Dir)
	if err != nil {
		return err
	}
	defer release()
	// A stack that was killed leaves its file behind.
	if err := os.Remove(envPath(s.Dir)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := s.Ports.Check(ctx); err != nil {
		return err
	}
	if s.Secure {
		if s.security, err = newSecurity(s.Root, s.data()); err != nil {
			return err
		}
	}
	parts, plan, err := assemble(ctx, t, s)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case exit := <-parts.UnexpectedExits():
			cancel(exit)
		case <-ctx.Done():
		}
	}()
	defer func() { err = errors.Join(err, parts.StopAll(ctx)) }()

	if err := plan.Run(ctx); err != nil {
		return exitCause(ctx, fmt.Errorf("the stack did not start: %w", err))
	}
	control, err := listenControl(ctx, s.Dir, parts)
	if err != nil {
		return err
	}
	defer control.Close()
	if err := s.writeEnv(plan.Postgres); err != nil {
		return err
	}
	defer func() { _ = os.Remove(envPath(s.Dir)) }()
	t.Console.Print(s.banner(time.Since(began)))
	<-ctx.Done()
	t.Console.Progress("stopping everything")
	return exitCause(ctx, nil)
}

// assemble finds every program and describes the parts and their start. It starts nothing.
func assemble(ctx context.Context, t toolchain.Tools, s Settings) (*supervisor.Supervisor, startup.Plan, error) {
	plan := startup.Plan{Servers: []string{"redis"}, Services: services}
	var err error
	if plan.Topics, err = s.topics(); err != nil {
		return nil, plan, err
	}
	parts, err := s.servers(ctx, t, &plan)
	if err != nil {
		return nil, plan, err
	}
	// The log folder holds the logs of this run only.
	if err := errors.Join(os.RemoveAll(s.log()), os.MkdirAll(s.log(), 0o755), os.MkdirAll(s.bin(), 0o755)); err != nil {
		return nil, plan, err
	}
	for _, name := range services {
		parts = append(parts, s.service(name))
	}
	all := supervisor.New(supervisor.Config{
		Launcher: t.Launcher, Console: t.Console, LogDir: s.log(), Shown: services, StopTimeout: stopTimeout,
	}, parts...)
	plan.StartPart = all.Start
	plan.Build = func(ctx context.Context) error {
		return runStep(ctx, t, "build", startup.BuildCommand(s.Root, s.bin(), services))
	}
	plan.Migrate = func(ctx context.Context) error {
		todo, err := s.service(todoService).Command()
		if err != nil {
			return err
		}
		todo.Args = []string{"migrate"}
		if s.security != nil {
			todo.Env = append(todo.Env, "POSTGRES_DSN_FILE="+s.security.dsnPath(migrateUser))
		}
		return runStep(ctx, t, "migrate", todo)
	}
	return all, plan, nil
}

// servers describes the servers, those of the plan among them.
func (s Settings) servers(ctx context.Context, t toolchain.Tools, plan *startup.Plan) ([]supervisor.Part, error) {
	var err error
	if plan.Postgres, err = t.Postgres(ctx, s.data(), s.Ports[postgresPort]); err != nil {
		return nil, err
	}
	redis, err := t.Redis(ctx, s.data(), s.Ports[redisPort])
	if err != nil {
		return nil, err
	}
	broker := server.KafkaListener{Port: s.Ports[kafkaPort], ControllerPort: s.Ports[kafkaController]}
	if s.security != nil {
		plan.Postgres.Security, redis.Security, broker.Security = s.security.postgres, s.security.redis, s.security.kafka
		if err := s.security.writeDSNs(plan.Postgres); err != nil {
			return nil, err
		}
	}
	plan.Kafka = server.KafkaClient{Addr: s.Ports.Addr(kafkaPort), Security: broker.Security}
	kafka, err := t.Kafka(ctx, s.Kafka, s.data(), broker)
	return []supervisor.Part{plan.Postgres.Part(), redis.Part(), kafka}, err
}

// runStep runs a command of the start to its end and shows its output.
func runStep(ctx context.Context, t toolchain.Tools, step string, c proc.Command) error {
	began := time.Now()
	t.Console.Progress("%s: waiting for %s %s", step, filepath.Base(c.Path), c.Args[0])
	c.Stdout = t.Console.LineWriter(step)
	c.Stderr = c.Stdout
	if err := t.Launcher.Run(ctx, c); err != nil {
		return fmt.Errorf("%s: %w", step, err)
	}
	t.Console.Progress("%s: done after %s", step, time.Since(began).Round(10*time.Millisecond))
	return nil
}

// exitCause returns the unexpected exit that ended ctx, otherwise err.
func exitCause(ctx context.Context, err error) error {
	var exit *supervisor.UnexpectedExit
	if errors.As(context.Cause(ctx), &exit) {
		return exit
	}
	return err
}

// Reset deletes the data of both kinds of Kafka, with and without security, and the logs of the stack in dir. A stack that runs in dir
// is an error.
func Reset(dir string) error {
	if _, err := os.Stat(dir); err != nil {
		return nil // no folder, no data
	}
	release, err := acquireLock(context.Background(), dir)
	if err != nil {
		return err
	}
	defer release()
	return errors.Join(
		toolchain.RemoveData(Settings{Dir: dir, Kafka: toolchain.KafkaEmbedded}.data()),
		toolchain.RemoveData(Settings{Dir: dir, Kafka: toolchain.KafkaEmbedded, Secure: true}.data()),
		toolchain.RemoveData(Settings{Dir: dir, Kafka: toolchain.KafkaApache}.data()),
		toolchain.RemoveData(Settings{Dir: dir, Kafka: toolchain.KafkaApache, Secure: true}.data()),
		os.RemoveAll(Settings{Dir: dir}.log()))
}
