// Package cli runs the command line of a tool of this repository.
package cli

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"example.com/todo/platform/printable"
	"example.com/todo/platform/process"
)

// Run executes the command with the arguments of the process, until it ends or receives a stop signal, and returns the
// exit status. An error is printed to standard error, and the status is 1. If the reader of standard output has closed
// it, the status is 0.
func Run(command *cobra.Command) int {
	ctx, stop := process.Context()
	defer stop()
	command.SilenceErrors, command.SilenceUsage = true, true
	command.SetOut(process.Output(os.Stdout))
	err := command.ExecuteContext(ctx)
	if err == nil || process.IsBrokenPipe(err) {
		return 0
	}
	fmt.Fprintf(os.Stderr, "%s: %s\n", command.Name(), printable.EscapeLines(err.Error()))
	return 1
}
