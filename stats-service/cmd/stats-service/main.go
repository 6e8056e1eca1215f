// Command stats-service counts completed tasks and serves the counts.
package main

import (
	"os"

	"example.com/todo/platform/command"
	"example.com/todo/stats-service/internal/app"
)

func main() {
	p := command.New("stats-service", "Counts completed tasks and serves the counts", app.Load, app.Run)
	app.AddHealthcheck(p)
	app.AddDeadLetters(p)
	app.AddRebuild(p)
	os.Exit(p.Main())
}
