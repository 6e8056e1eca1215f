// Command todo-service serves tasks over HTTP and gRPC and publishes an event of every
// change to Kafka.
package main

import (
	"os"

	"example.com/todo/platform/command"
	"example.com/todo/todo-service/internal/app"
)

func main() {
	p := command.New("todo-service", "Serves tasks over HTTP and gRPC and publishes every change to Kafka", app.Load, app.Run)
	p.Add("migrate", "Migrate the database to the schema of this version", app.Migrate)
	app.AddUserCommands(p)
	app.AddHealthcheck(p)
	os.Exit(p.Main())
}
