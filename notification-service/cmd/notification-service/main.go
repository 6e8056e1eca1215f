// Command notification-service sends a notification for each completed task.
package main

import (
	"os"

	"example.com/todo/notification-service/internal/app"
	"example.com/todo/platform/command"
)

func main() {
	p := command.New("notification-service", "Sends a notification for each completed task", app.Load, app.Run)
	app.AddHealthcheck(p)
	app.AddDeadLetters(p)
	os.Exit(p.Main())
}
