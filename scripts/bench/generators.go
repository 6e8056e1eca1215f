package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
)

// callers is the number of concurrent clients of most rows.
const callers = 32

var (
	wrkRate     = regexp.MustCompile(`Requests/sec:\s+([0-9.]+)`)
	wrkFailures = regexp.MustCompile(`Non-2xx or 3xx responses: \d+`)
	pgbenchRate = regexp.MustCompile(`tps = ([0-9.]+)`)
)

// wrk requests a URL over a number of connections, with a Lua script unless it is "". A response other than
// 2xx and 3xx is an error.
func (b *httpBench) wrk(ctx context.Context, connections int, url, script string) (float64, error) {
	args := []string{"-t2", fmt.Sprintf("-c%d", connections), fmt.Sprintf("-d%ds", int(b.duration.Seconds())), url}
	if script != "" {
		file := filepath.Join(b.dir, "wrk.lua")
		if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
			return 0, err
		}
		args = append([]string{"-s", file}, args...)
	}
	out, err := exec.CommandContext(ctx, "wrk", args...).CombinedOutput()
	if err == nil && wrkFailures.Match(out) {
		err = fmt.Errorf("%s", wrkFailures.Find(out))
	}
	return parseRate(wrkRate, out, err)
}

// pgbench runs prepared statements with one connection for each caller.
func (b *httpBench) pgbench(ctx context.Context, dsn, statements string) (float64, error) {
	file := filepath.Join(b.dir, "pgbench.sql")
	if err := os.WriteFile(file, []byte(statements), 0o600); err != nil {
		return 0, err
	}
	out, err := exec.CommandContext(ctx, "pgbench", "-n", "-M", "prepared", "-c", strconv.Itoa(callers), "-j", "2",
		"-T", strconv.Itoa(int(b.duration.Seconds())), "-f", file, dsn).CombinedOutput()
	return parseRate(pgbenchRate, out, err)
}

func parseRate(rate *regexp.Regexp, out []byte, err error) (float64, error) {
	found := rate.FindSubmatch(out)
	if err != nil || found == nil {
		return 0, fmt.Errorf("%w: %s", err, out)
	}
	return strconv.ParseFloat(string(found[1]), 64)
}
