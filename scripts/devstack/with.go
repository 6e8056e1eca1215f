package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"example.com/todo/platform/process"
	"example.com/todo/scripts/internal/console"
	"example.com/todo/scripts/internal/ephemeral"
	"example.com/todo/scripts/internal/proc"
	"example.com/todo/scripts/internal/toolchain"
)

// commandStopTimeout bounds the command's own shutdown; then it is killed.
const commandStopTimeout = 5 * time.Second

func newWith() *cobra.Command {
	var request ephemeral.Request
	c := &cobra.Command{
		Use:   "with [--postgres [--durable]] [--redis] [--kafka=embedded|apache|best] -- command [argument…]",
		Short: "Run a command with private servers that end with it",
		Long: `Starts private servers on free ports with data of their own, runs the command with
TEST_POSTGRES_DSN (a superuser's, of the database "postgres"), TEST_REDIS_ADDR and
TEST_KAFKA_BROKERS set for the requested servers, with TEST_REDIS_SERVER set to the path of
redis-server if Redis is one, and stops the servers when the command ends.
The exit code is the command's.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if !request.Postgres && !request.Redis && request.Kafka == "" {
				return errors.New("name at least one of --postgres, --redis and --kafka")
			}
			if request.Durable && !request.Postgres {
				return errors.New("--durable needs --postgres")
			}
			tools, err := toolchain.New(console.New(os.Stderr, os.Stderr), os.Getenv)
			if err != nil {
				return err
			}
			if request.Kafka != "" {
				if request.Kafka, err = tools.ChooseKafka(c.Context(), request.Kafka); err != nil {
					return err
				}
			}
			return with(c.Context(), tools, request, args)
		},
	}
	c.Flags().BoolVar(&request.Postgres, "postgres", false, "start PostgreSQL")
	c.Flags().BoolVar(&request.Durable, "durable", false, "let PostgreSQL flush its commits to disk")
	c.Flags().BoolVar(&request.Redis, "redis", false, "start Redis")
	c.Flags().StringVar(&request.Kafka, "kafka", "", "start a Kafka of this `kind`: embedded (also without a value), apache, or best: apache where Java 17 is")
	c.Flags().Lookup("kafka").NoOptDefVal = toolchain.KafkaEmbedded
	return c
}

func with(ctx context.Context, tools toolchain.Tools, request ephemeral.Request, args []string) (err error) {
	path, err := exec.LookPath(args[0])
	if err != nil {
		return err
	}
	servers, err := ephemeral.Start(ctx, tools, request)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, servers.Close(ctx)) }()

	signals := make(chan os.Signal, 1)
	signal.Notify(signals, process.StopSignals()...)
	defer signal.Stop(signals)
	command := proc.Command{
		Path: path, Args: args[1:], Env: append(os.Environ(), servers.Environ()...),
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Shared: term.IsTerminal(int(os.Stdin.Fd())),
	}
	p, err := tools.Launcher.Start(command)
	if err != nil {
		return err
	}
	select {
	case <-p.Done():
	case s := <-signals:
		// A command that shares the terminal has received the terminal's Ctrl-C itself.
		stop(ctx, p, command.Shared && s == os.Interrupt)
	case exit := <-servers.UnexpectedExits():
		stop(ctx, p, false)
		return exit
	}
	if code := p.ExitCode(); code != 0 {
		return exitCode(code)
	}
	return nil
}

// stop stops the command, even after the end of ctx. A command that has been signaled already gets time to
// exit before it is signaled again.
func stop(ctx context.Context, p *proc.Process, signaled bool) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commandStopTimeout)
	defer cancel()
	if signaled {
		select {
		case <-p.Done():
		case <-ctx.Done():
		}
	}
	_ = p.Stop(ctx) // killed or not, it has ended
}
