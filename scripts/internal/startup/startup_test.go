package startup

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
)

func TestRunReturnsTheErrorOfTheBuildAndStartsNoService(t *testing.T) {
	t.Parallel()
	broken := errors.New("it does not compile")
	var migrated, services atomic.Int32
	plan := Plan{
		StartPart: func(ctx context.Context, name string) error {
			if name == "service" {
				services.Add(1)
			}
			<-ctx.Done()
			return ctx.Err()
		},
		Build:    func(context.Context) error { return broken },
		Migrate:  func(context.Context) error { migrated.Add(1); return nil },
		Servers:  []string{"redis"},
		Services: []string{"service"},
	}
	if err := plan.Run(t.Context()); !errors.Is(err, broken) {
		t.Errorf("Run: %v, want the error of the build", err)
	}
	if migrated.Load() != 0 || services.Load() != 0 {
		t.Errorf("%d migrations and %d services after a failed build", migrated.Load(), services.Load())
	}
}

func TestBuildCommandBuildsAllServicesInTheWorkspace(t *testing.T) {
	t.Parallel()
	c := BuildCommand("/tree", "/bin", []string{"a-service", "b-service"}, "-tags", "failpoints")
	want := []string{"build", "-tags", "failpoints", "-o", "/bin/", "./a-service/cmd/a-service", "./b-service/cmd/b-service"}
	if c.Dir != "/tree" || c.Env[len(c.Env)-1] != "GOWORK=/tree/go.work" || len(c.Args) != len(want) {
		t.Fatalf("%+v", c)
	}
	for i, arg := range want {
		if c.Args[i] != arg {
			t.Errorf("argument %d is %q, want %q", i, c.Args[i], arg)
		}
	}
}
