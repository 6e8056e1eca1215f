// Command grpc-client is a command line client of todo-service over gRPC. Without arguments
// it creates a task and lists all tasks; --help shows its commands.
package main

import (
	"os"

	"example.com/todo/platform/process"
)

func main() {
	ctx, stop := process.Context()
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
