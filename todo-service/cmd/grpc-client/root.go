package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"example.com/todo/platform/printable"
	"example.com/todo/platform/process"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// usageError is the error of an invalid command line.
type usageError struct{ error }

// run runs one command line and returns the exit code. An error is one line on stderr: what
// failed, why, and what to try.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRoot() //nolint:contextcheck // its commands take the context of ExecuteContext
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(process.Output(stdout))
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil || process.IsBrokenPipe(err) {
		return exitOK
	}
	line := printable.Excerpt(strings.ReplaceAll(err.Error(), "\n", " "))
	var usage usageError
	if errors.As(err, &usage) {
		root.PrintErrf("grpc-client: %s; see grpc-client --help\n", line)
		return exitUsage
	}
	root.PrintErrf("grpc-client: %s\n", line)
	return exitFailed
}

func newRoot() *cobra.Command {
	c := &cli{}
	root := &cobra.Command{
		Use:   "grpc-client",
		Short: "Talk to todo-service over gRPC",
		Long: "Talk to todo-service over gRPC.\n\nWithout a command it creates the task \"" + defaultTitle + "\", lists the tasks and prints them.\n\n" +
			"Where todo-service demands sign-in, run login first, or set " + tokenVariable + " to the token of a session.",
		Example: `  grpc-client
  grpc-client create "Learn Go" --priority 1
  grpc-client list --done --output json
  grpc-client watch --from 17
  grpc-client login --email ann@example.com`,
		Args:              rejectUnknownCommand,
		PersistentPreRunE: c.checkFlags,
		RunE:              c.createAndList,
		SilenceErrors:     true,
		SilenceUsage:      true,

		SuggestionsMinimumDistance: 2,
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	flags := root.PersistentFlags()
	flags.StringVar(&c.addr, "addr", "localhost:50051", "address of todo-service, `host:port`")
	flags.StringVar(&c.output, "output", "table", "how to print: table or json")
	flags.DurationVar(&c.timeout, "timeout", 10*time.Second, "how long to wait for a response")
	c.tls.register(root)
	root.AddCommand(c.createCommand(), c.listCommand(), c.watchCommand())
	root.AddCommand(c.idCommands()...)
	root.AddCommand(c.signInCommands()...)
	return root
}

// rejectUnknownCommand is the cobra.PositionalArgs of the root command: it returns an error
// for an unknown command, with similar ones.
func rejectUnknownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := ""
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		hint = ", did you mean " + strings.Join(near, " or ") + "?"
	}
	return usageError{fmt.Errorf("there is no command %q%s", args[0], hint)}
}

// exactly returns a cobra.PositionalArgs for n arguments.
func exactly(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == n {
			return nil
		}
		return usageError{fmt.Errorf("got %d arguments, want %s (quote what has spaces)", len(args), cmd.UseLine())}
	}
}
