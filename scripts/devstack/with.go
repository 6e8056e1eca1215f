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
	"example.com/todo/scripts/internal/proc"
	"example.com/todo/scripts/internal/stack"
)

// commandPatience is how long the command of "with" may take to stop when it is told to.
const commandPatience = 5 * time.Second

func newWith() *cobra.Command {
	var wanted stack.Request
	c := &cobra.Command{
		Use:   "with [--postgres [--durable]] [--redis] [--kafka=embedded|apache|best] -- command [argument…]",
		Short: "Run a command with private servers that end with it",
		Long: `Starts private servers on free ports with data of their own, runs the command with
TEST_POSTGRES_DSN (a superuser's, of the database "postgres"), TEST_REDIS_ADDR and
TEST_KAFKA_BROKERS set for those that were asked for, TEST_REDIS_SERVER to the path of
redis-server when Redis was, and stops them when it ends.
The exit code is the command's.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if !wanted.Postgres && !wanted.Redis && wanted.Kafka == "" {
				return errors.New("name at least one of --postgres, --redis and --kafka")
			}
			if wanted.Durable && !wanted.Postgres {
				return errors.New("--durable is about --postgres, which is not asked for")
			}
			tools, err := stack.NewTools(console.New(os.Stderr, os.Stderr), os.Getenv)
			if err != nil {
				return err
			}
			if wanted.Kafka != "" {
				if wanted.Kafka, err = tools.Kafka(c.Context(), wanted.Kafka); err != nil {
					return err
				}
			}
			return with(c.Context(), tools, wanted, args)
		},
	}
	c.Flags().BoolVar(&wanted.Postgres, "postgres", false, "start PostgreSQL")
	c.Flags().BoolVar(&wanted.Durable, "durable", false, "let PostgreSQL flush what it commits, which tests do without")
	c.Flags().BoolVar(&wanted.Redis, "redis", false, "start Redis")
	c.Flags().StringVar(&wanted.Kafka, "kafka", "", "start a Kafka of this `kind`: embedded (also without a value), apache, or best: apache where Java 17 is")
	c.Flags().Lookup("kafka").NoOptDefVal = stack.KafkaEmbedded
	return c
}

func with(ctx context.Context, tools stack.Tools, wanted stack.Request, args []string) (err error) {
	path, err := exec.LookPath(args[0])
	if err != nil {
		return err
	}
	sandbox, err := stack.StartEphemeral(ctx, tools, wanted)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sandbox.Close(ctx)) }()

	signals := make(chan os.Signal, 1)
	signal.Notify(signals, process.StopSignals()...)
	defer signal.Stop(signals)
	command := proc.Command{
		Path: path, Args: args[1:], Env: append(os.Environ(), sandbox.Env()...),
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Shared: term.IsTerminal(int(os.Stdin.Fd())),
	}
	p, err := tools.Launcher.Start(command)
	if err != nil {
		return err
	}
	select {
	case <-p.Done():
	case s := <-signals:
		// The terminal's Ctrl-C has reached a command that shares the terminal.
		stop(ctx, p, command.Shared && s == os.Interrupt)
	case death := <-sandbox.Deaths():
		stop(ctx, p, false)
		return death
	}
	if code := p.ExitCode(); code != 0 {
		return exitCode(code)
	}
	return nil
}

// stop ends the command, also when ctx has ended. One that was told already gets some time before it is told again.
func stop(ctx context.Context, p *proc.Process, told bool) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commandPatience)
	defer cancel()
	if told {
		select {
		case <-p.Done():
		case <-ctx.Done():
		}
	}
	_ = p.Stop(ctx) // killed or not, it has ended
}
