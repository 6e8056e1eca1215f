package app

import (
	"testing"

	"example.com/todo/platform/command"
	"example.com/todo/platform/process/processtest"
)

// TestMain lets the test binary run as the service.
func TestMain(m *testing.M) {
	processtest.Main(m, func() int {
		p := command.New(name, "Serves tasks", Load, Run)
		p.Add("migrate", "Bring the database's schema up to date", Migrate)
		AddUserCommands(p)
		return p.Main()
	})
}
