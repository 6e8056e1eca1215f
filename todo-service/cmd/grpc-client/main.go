// Command grpc-client talks to todo-service over gRPC. Without arguments it
// creates a task, lists the tasks and prints them; --help shows what else it
// does.
package main

import (
	"os"

	"example.com/todo/platform/process"
)

func main() {
	ctx, stop := process.Context()
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
