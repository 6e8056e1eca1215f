// Command devstack runs the whole system without containers: PostgreSQL, Redis, Kafka and the services.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// endings are the signals that end devstack, and everything that it started.
var endings = []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP}

func main() {
	os.Exit(run())
}

func run() int {
	// Programs that run as another user must be able to read what is made here for them.
	syscall.Umask(0o022)
	ctx, stop := signal.NotifyContext(context.Background(), endings...)
	defer stop()
	err := newRoot().ExecuteContext(ctx)
	var code exitCode
	switch {
	case err == nil:
		return 0
	case errors.As(err, &code):
		return int(code)
	default:
		fmt.Fprintf(os.Stderr, "devstack: %v\n", err)
		return 1
	}
}

// exitCode is the exit code of a command that devstack ran for its caller, who has seen why.
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
		newWith(), newFetch(), newKafkaEmbedded(),
	)
	return root
}
