package stack

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"example.com/todo/scripts/internal/server"
)

// writeEnv writes the addresses of all parts as lines of KEY=VALUE, for scripts, and how an operator reaches them. The
// file exists while the stack is ready.
func (s Settings) writeEnv(p server.Postgres) error {
	superuserDSN, err := p.SuperuserDSN()
	if err != nil {
		return err
	}
	lines := append(s.addresses(), "DEVSTACK_PID="+strconv.Itoa(os.Getpid()), "POSTGRES_SUPERUSER_DSN="+superuserDSN)
	if s.security != nil {
		lines = append(lines, s.security.env(p)...)
	}
	for _, l := range listeners {
		if slices.Contains(services, l.part) {
			lines = append(lines, strings.TrimSuffix(l.variable, "_PORT")+"_ADDR="+s.Ports.Addr(l.variable))
		}
	}
	unfinished := envPath(s.Dir) + ".new"
	if err := os.WriteFile(unfinished, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		return err
	}
	return os.Rename(unfinished, envPath(s.Dir))
}

func envPath(dir string) string { return filepath.Join(dir, "stack.env") }

// Env reads the addresses of the parts of the stack that runs in dir.
func Env(dir string) (map[string]string, error) {
	content, err := os.ReadFile(envPath(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, notRunning(context.Background(), dir)
	}
	if err != nil {
		return nil, err
	}
	env := map[string]string{}
	for _, line := range strings.Split(string(content), "\n") {
		if name, value, found := strings.Cut(line, "="); found {
			env[name] = value
		}
	}
	return env, nil
}
