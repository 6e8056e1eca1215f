package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// callers is the number of concurrent clients of most rows.
const callers = 32

// client keeps a connection for each caller.
var client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: callers}}

// rate measures once and returns a rate per second.
type rate func(context.Context) (float64, error)

// limit bounds our rate, and the ratio of ours to theirs. 0 is no limit.
type limit struct{ minRate, min, max float64 }

// compare alternates between both sides, and prints the medians as a row.
func (b *bench) compare(ctx context.Context, what string, l limit, ours, theirs rate) error {
	var measured [2][]float64
	for range b.rounds {
		for side, measure := range []rate{ours, theirs} {
			one, err := measure(ctx)
			if err != nil {
				return fmt.Errorf("%s: %w", what, err)
			}
			measured[side] = append(measured[side], one)
		}
	}
	return printRow(what, l, quantile(measured[0], 0.5), quantile(measured[1], 0.5))
}

func quantile(values []float64, q float64) float64 {
	slices.Sort(values)
	return values[int(float64(len(values))*q)]
}

// printRow prints a row. A missed limit is an error.
func printRow(what string, l limit, ours, theirs float64) error {
	ratio := ours / theirs
	fmt.Printf("%-56s %9.1f %9.1f %7.2f %7g\n", what, ours, theirs, ratio, max(l.min, l.max))
	if ours < l.minRate || ratio < l.min || l.max > 0 && ratio > l.max {
		return fmt.Errorf("%s: %.0f, a ratio of %.2f, misses its limit", what, ours, ratio)
	}
	return nil
}

// generator runs a load generator, whose last argument is a script's file, and returns the rate that it prints.
func (b *bench) generator(script, program string, args ...string) rate {
	return func(ctx context.Context) (float64, error) {
		file := filepath.Join(b.dir, "script")
		if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
			return 0, err
		}
		out, err := exec.CommandContext(ctx, program, append(args, file)...).CombinedOutput()
		printed := regexp.MustCompile(`(?:Requests/sec:\s+|tps = )([0-9.]+)`).FindSubmatch(out)
		if err != nil || printed == nil || bytes.Contains(out, []byte("Non-2xx or 3xx responses")) {
			return 0, errors.Join(err, fmt.Errorf("%s failed: %s", program, out))
		}
		return strconv.ParseFloat(string(printed[1]), 64)
	}
}

// wrk requests a URL over a number of connections, with a Lua script that may be empty.
func (b *bench) wrk(connections int, url, script string) rate {
	return b.generator(script, "wrk", "-t", "2", "-c", strconv.Itoa(connections), "-d", b.seconds(), url, "-s")
}

// pgbench runs prepared statements with one connection for each caller.
func (b *bench) pgbench(dsn, statements string) rate {
	return b.generator(statements, "pgbench", "-n", "-M", "prepared", "-c", strconv.Itoa(callers), "-j", "2",
		"-T", b.seconds(), "-d", dsn, "-f")
}

func (b *bench) seconds() string { return strconv.Itoa(int(b.each.Seconds())) }

// sendAtRate calls send n times at a steady rate, concurrently if a call takes longer.
func sendAtRate(ctx context.Context, perSecond, n int, send func(i int) error) error {
	tick := time.NewTicker(time.Second / time.Duration(perSecond))
	defer tick.Stop()
	var calls errgroup.Group
	calls.SetLimit(callers)
	for i := range n {
		select {
		case <-ctx.Done():
			return errors.Join(calls.Wait(), ctx.Err())
		case <-tick.C:
			calls.Go(func() error { return send(i) })
		}
	}
	return calls.Wait()
}

// request returns the body of the response and its Cache-Status. A status of 400 and above is an error.
func request(ctx context.Context, method, url, body string) (content []byte, cache string, err error) {
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return nil, "", err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode >= http.StatusBadRequest {
		return nil, "", fmt.Errorf("%s %s: %s", method, url, resp.Status)
	}
	content, err = io.ReadAll(resp.Body)
	return content, resp.Header.Get("Cache-Status"), err
}
