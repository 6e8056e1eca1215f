// Command devstack runs the whole system without containers: PostgreSQL, Redis, Kafka and the services.
package main

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/spf13/cobra"

	"example.com/todo/platform/printable"
	"example.com/todo/platform/process"
	"example.com/todo/scripts/internal/server"
)

func main() {
	os.Exit(run())
}

func run() int {
	// Under root, PostgreSQL runs as another user, which must be able to read the files made here.
	syscall.Umask(0o022)
	isBroker, err := server.RunIfBroker()
	if !isBroker {
		err = execute()
	}
	var code exitCode
	switch {
	case err == nil, process.IsBrokenPipe(err):
		return 0
	case errors.As(err, &code):
		return int(code)
	default:
		fmt.Fprintf(os.Stderr, "devstack: %s\n", printable.EscapeLines(err.Error()))
		return 1
	}
}

func execute() error {
	ctx, stop := process.Context()
	defer stop()
	root := newRoot()
	root.SetOut(process.Output(os.Stdout))
	return root.ExecuteContext(ctx)
}

// exitCode is the exit code of the command of "with". The command itself has printed its error.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "devstack",
		Short:         "Run the whole system without containers",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	var dir string
	root.PersistentFlags().StringVar(&dir, "dir", "", "`folder` of the stack (default .dev in the repository)")
	root.AddCommand(
		newRun(&dir), newStop(&dir), newStart(&dir), newStatus(&dir), newTail(&dir), newReset(&dir),
		newWith(), newFetch(),
	)
	return root
}
