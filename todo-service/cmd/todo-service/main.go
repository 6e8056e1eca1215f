// Command todo-service serves the tasks over HTTP and gRPC and announces every
// change of them on Kafka.
package main

import (
	"os"

	"example.com/todo/platform/command"
	"example.com/todo/todo-service/internal/app"
)

func main() {
	p := command.New("todo-service", "Serves tasks over HTTP and gRPC and announces every change on Kafka", app.Load, app.Run)
	p.Add("migrate", "Bring the database's schema up to date", app.Migrate)
	p.Add("healthcheck", "Ask the running service whether it is ready", app.Healthcheck)
	os.Exit(p.Main())
}
