// Package toolchain holds what every local system is made with: the process launcher, the console, the
// finder of the servers' programs, and constructors for the servers.
package toolchain

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"example.com/todo/scripts/internal/binaries"
	"example.com/todo/scripts/internal/console"
	"example.com/todo/scripts/internal/proc"
)

// Tools is what parts are made and started with.
type Tools struct {
	Launcher *proc.Launcher
	Console  *console.Console
	Finder   binaries.Finder
	Self     string // path of the running program, which is also the embedded Kafka
	CI       bool   // a missing program is an error, even where another would do
}

// New reads CI, DEVSTACK_CACHE, DEVSTACK_PROGRAMS and binaries.RepositoryVariables from the environment.
func New(c *console.Console, getenv func(string) string) (Tools, error) {
	self, err := os.Executable()
	if err != nil {
		return Tools{}, err
	}
	cache, err := cacheDir(getenv("DEVSTACK_CACHE"))
	if err != nil {
		return Tools{}, err
	}
	repositories := map[string]string{}
	for kind, variable := range binaries.RepositoryVariables {
		repositories[kind] = getenv(variable)
	}
	finder := binaries.Finder{Cache: binaries.Cache{Dir: cache, Repositories: repositories, Console: c}}
	switch which := getenv("DEVSTACK_PROGRAMS"); which {
	case "", "installed":
	case "fetched":
		finder.FetchedOnly = true
	default:
		return Tools{}, fmt.Errorf("DEVSTACK_PROGRAMS=%s: must be installed (missing programs are fetched) or fetched", which)
	}
	return Tools{Launcher: proc.NewLauncher(), Console: c, Finder: finder, Self: self, CI: getenv("CI") == "true"}, nil
}

func cacheDir(chosen string) (string, error) {
	if chosen != "" {
		return filepath.Abs(chosen)
	}
	base, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no cache folder: %w; DEVSTACK_CACHE chooses one", err)
	}
	return filepath.Join(base, "todo-devstack"), nil
}

// Fetch downloads the programs that a stack with this kind of Kafka lacks. It returns the path of each
// program, one a line.
func (t Tools) Fetch(ctx context.Context, kafka string) (string, error) {
	postgres, err := t.Finder.Postgres(ctx)
	if err != nil {
		return "", err
	}
	redis, err := t.Finder.Redis(ctx)
	if err != nil {
		return "", err
	}
	found := fmt.Sprintf("postgres  %s\nredis     %s\n", postgres, redis)
	if kafka == KafkaEmbedded {
		return found, nil
	}
	apache, err := t.Finder.Kafka(ctx)
	if err != nil {
		return "", err
	}
	return found + fmt.Sprintf("java      %s\nkafka     %s\n", apache.Java, t.Finder.Cache.Dir), nil
}
