// Package stack is the whole system on one machine without containers: which parts it has, how they
// are set up, and how it is run, stopped and asked.
package stack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"example.com/todo/scripts/internal/proc"
	"example.com/todo/scripts/internal/server"
	"example.com/todo/scripts/internal/supervisor"
)

// stopTimeout leaves a second of the ten within which a stack has to be gone.
const stopTimeout = 9 * time.Second

// Run runs a stack until ctx ends, and stops it in order. It returns nil when the stack was ready and
// then was told to stop; otherwise an error, which is a *supervisor.Death when a part ended by itself.
func Run(ctx context.Context, t Tools, s Settings) (err error) {
	began := time.Now()
	lock, err := acquireLock(s.Dir)
	if err != nil {
		return err
	}
	defer lock.Release()
	// Left by a stack that was killed.
	if err := os.Remove(envPath(s.Dir)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := s.Ports.Check(ctx); err != nil {
		return err
	}
	r, err := assemble(ctx, t, s)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go r.cancelOnExit(ctx, cancel)
	defer func() { err = errors.Join(err, r.parts.StopAll(ctx)) }()

	if err := r.start(ctx); err != nil {
		return exitCause(ctx, fmt.Errorf("the stack did not start: %w", err))
	}
	control, err := listenControl(ctx, s.Dir, r.parts)
	if err != nil {
		return err
	}
	defer func() { _ = control.Close() }()
	dsn, err := r.postgres.SuperuserDSN()
	if err != nil {
		return err
	}
	if err := s.writeEnv(dsn); err != nil {
		return err
	}
	defer func() { _ = os.Remove(envPath(s.Dir)) }()
	t.Console.Print(s.banner(time.Since(began)))
	<-ctx.Done()
	t.Console.Progress("stopping everything")
	return exitCause(ctx, nil)
}

// instance is a stack and what it is made of.
type instance struct {
	Settings
	tools    Tools
	topics   []server.Topic
	postgres server.Postgres
	redis    server.Redis
	kafka    broker
	parts    *supervisor.Supervisor
}

// assemble finds every program and makes the parts; nothing is started.
func assemble(ctx context.Context, t Tools, s Settings) (r *instance, err error) {
	r = &instance{Settings: s, tools: t}
	if r.topics, err = s.topics(); err != nil {
		return nil, err
	}
	if r.postgres, err = t.postgres(ctx, s.data(), s.Ports); err != nil {
		return nil, err
	}
	if r.redis, err = t.redis(ctx, s.data(), s.Ports); err != nil {
		return nil, err
	}
	if r.kafka, err = t.broker(ctx, s.Kafka, s.data(), s.Ports); err != nil {
		return nil, err
	}
	// The logs are those of this run.
	if err := errors.Join(os.RemoveAll(s.log()), os.MkdirAll(s.log(), 0o755), os.MkdirAll(s.bin(), 0o755)); err != nil {
		return nil, err
	}
	parts := []supervisor.Part{r.postgres, r.redis, r.kafka}
	for _, name := range services {
		parts = append(parts, s.service(name))
	}
	r.parts = supervisor.New(supervisor.Config{
		Launcher: t.Launcher, Console: t.Console, LogDir: s.log(), Shown: services, StopTimeout: stopTimeout,
	}, parts...)
	return r, nil
}

// start builds the services while the servers start, and then starts the services.
func (r *instance) start(ctx context.Context) error {
	group, servers := errgroup.WithContext(ctx)
	built := make(chan struct{})
	group.Go(func() error {
		defer close(built)
		return r.build(servers)
	})
	group.Go(func() error {
		if err := r.parts.Start(servers, r.postgres.Name()); err != nil {
			return err
		}
		if err := r.postgres.EnsureDatabase(servers, appUser, appPassword, appDatabase); err != nil {
			return err
		}
		<-built
		return r.migrate(servers)
	})
	group.Go(func() error { return r.parts.Start(servers, r.redis.Name()) })
	group.Go(func() error {
		if err := r.parts.Start(servers, r.kafka.Name()); err != nil {
			return err
		}
		return server.EnsureTopics(servers, r.kafka.Addr(), r.topics...)
	})
	if err := group.Wait(); err != nil {
		return err
	}
	return r.parts.StartAll(ctx, services...)
}

func (r *instance) build(ctx context.Context) error {
	args := []string{"build", "-o", r.bin() + string(filepath.Separator)}
	for _, name := range services {
		args = append(args, "./"+name+"/cmd/"+name)
	}
	return r.runStep(ctx, "build", proc.Command{
		Path: "go", Args: args, Dir: r.Root,
		// A caller that tests one module on its own has switched the workspace off.
		Env: append(os.Environ(), "GOWORK="+filepath.Join(r.Root, "go.work")),
	})
}

func (r *instance) migrate(ctx context.Context) error {
	todo, err := r.service(todoService).Command()
	if err != nil {
		return err
	}
	todo.Args = []string{"migrate"}
	return r.runStep(ctx, "migrate", todo)
}

// runStep runs a step of the start to its end and shows what it prints.
func (r *instance) runStep(ctx context.Context, step string, c proc.Command) error {
	began := time.Now()
	r.tools.Console.Progress("%s: waiting for %s %s", step, filepath.Base(c.Path), c.Args[0])
	c.Stdout = r.tools.Console.LineWriter(step)
	c.Stderr = c.Stdout
	if err := r.tools.Launcher.Run(ctx, c); err != nil {
		return fmt.Errorf("%s: %w", step, err)
	}
	r.tools.Console.Progress("%s: done after %s", step, time.Since(began).Round(10*time.Millisecond))
	return nil
}

func (r *instance) cancelOnExit(ctx context.Context, cancel context.CancelCauseFunc) {
	select {
	case death := <-r.parts.UnexpectedExits():
		cancel(death)
	case <-ctx.Done():
	}
}

// exitCause is the death that ended ctx, if one did, and otherwise err.
func exitCause(ctx context.Context, err error) error {
	var death *supervisor.UnexpectedExit
	if errors.As(context.Cause(ctx), &death) {
		return death
	}
	return err
}

// Reset removes the data, of both kinds of Kafka, and the logs of the stack in dir. errRunning while it runs.
func Reset(dir string) error {
	if _, err := os.Stat(dir); err != nil {
		return nil // where nothing is, nothing is left to remove
	}
	lock, err := acquireLock(dir)
	if err != nil {
		return err
	}
	defer lock.Release()
	return errors.Join(
		removeData(dataDir(dir, KafkaEmbedded)), removeData(dataDir(dir, KafkaApache)), os.RemoveAll(logDir(dir)))
}

// removeData removes the servers' data in dir. PostgreSQL's may be elsewhere, with a link to it in dir.
func removeData(dir string) error {
	if err := (server.Postgres{Dir: postgresDir(dir)}).Remove(); err != nil {
		return err
	}
	return os.RemoveAll(dir)
}
