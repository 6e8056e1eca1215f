// Package mutants implements mutation testing of the architecture: it applies naive designs, one
// at a time, to a copy of the source tree, runs the scenario that concerns each, and expects one
// check of the verdict to turn red.
package mutants

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"example.com/todo/platform/printable"
	"example.com/todo/scripts/internal/proc"
	"example.com/todo/scripts/prove/internal/checker"
)

const (
	// scenarioTimeout bounds a scenario, from when the cluster is up.
	scenarioTimeout = 60 * time.Second
	// startTimeout bounds building and starting.
	startTimeout = 10 * time.Minute
	stopTimeout  = time.Minute
)

// ErrSurvived means that a mutant was not caught, or that the unchanged tree was not green.
var ErrSurvived = errors.New("a mutant survived, or the unchanged tree was not green")

// Options select what to run.
type Options struct {
	Prove string   // path of the prove program, whose scenarios and checker are used
	Tree  string   // path of the source tree
	Seed  int64    // of every run
	Only  []string // names of mutants; empty for all
	Out   io.Writer
}

// Run runs every mutant: its check, and no other, must be red, and its scenario green on the
// unchanged tree. It returns ErrSurvived if that is not so, and another error if a run failed.
func Run(ctx context.Context, o Options) error {
	chosen, err := selectMutants(o.Only)
	if err != nil {
		return err
	}
	return runSuite(ctx, &suite{
		Options: o, mutants: chosen, launcher: proc.NewLauncher(), dir: filepath.Join(o.Tree, ".dev", "prove", "mutants"),
	})
}

type suite struct {
	Options
	mutants  []mutant
	launcher *proc.Launcher
	dir      string // for data, logs and verdicts
}

func runSuite(ctx context.Context, s *suite) error {
	s.printf("seed %d, logs in %s", s.Seed, s.dir)
	judged, green, caught := map[string]bool{}, 0, 0
	for _, m := range s.mutants {
		if !judged[m.scenario] {
			judged[m.scenario] = true
			if s.judge(ctx, mutant{name: "unchanged-" + m.scenario, scenario: m.scenario}, "green") {
				green++
			}
		}
		if s.judge(ctx, m, "caught") {
			caught++
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	s.printf("%d of %d mutants caught; the unchanged tree was green in %d of %d scenarios", caught, len(s.mutants), green, len(judged))
	if caught < len(s.mutants) || green < len(judged) {
		return ErrSurvived
	}
	return nil
}

func (s *suite) printf(format string, args ...any) {
	fmt.Fprintf(s.Out, "%s\n", printable.EscapeLines(fmt.Sprintf(format, args...)))
}

// judge runs the mutant's scenario and reports whether the result is good: the mutant's check, and no other, is red
// on a patched copy of the tree, or no check on the unchanged tree.
func (s *suite) judge(ctx context.Context, m mutant, good string) bool {
	v := s.runProve(ctx, m)
	red := strings.Join(v.red, ", ")
	ok := v.err == nil && red == m.check
	if !ok {
		good = "NOT " + good
	}
	what := "red: " + red
	switch {
	case v.err != nil:
		what = v.err.Error()
	case red == "":
		what = "no check red"
	}
	name := m.name
	if m.patch == nil {
		name = "(unchanged)"
	}
	s.printf("%-22s %-20s %-11s %3.0f s  %s", name, m.scenario, good, v.took.Seconds(), what)
	return ok
}

// outcome is the result of one run. A failed run proves nothing, whatever was red.
type outcome struct {
	red  []string
	took time.Duration // since the cluster was up
	err  error
}

func (s *suite) runProve(ctx context.Context, m mutant) (v outcome) {
	tree := s.Tree
	if m.patch != nil {
		if tree, v.err = copyTree(ctx, s.Tree); v.err != nil {
			return v
		}
		defer func() { v.err = errors.Join(v.err, os.RemoveAll(tree)) }()
		if v.err = apply(ctx, tree, m.patch); v.err != nil {
			return v
		}
	}
	dir := filepath.Join(s.dir, m.name)
	if v.err = errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755)); v.err != nil {
		return v
	}
	verdict := dir + ".json"
	_ = os.Remove(verdict) // from an earlier run
	code, err := s.execProve(ctx, dir+".txt",
		"--scenario", m.scenario, "--seed", strconv.FormatInt(s.Seed, 10), "--at-most", scenarioTimeout.String(),
		"--tree", tree, "--released-tree", s.Tree, "--dir", dir, "--out", verdict)
	if err != nil {
		return outcome{err: err}
	}
	return readOutcome(verdict, code)
}

// execProve runs prove and returns its exit code. Its output is written to the file log.
func (s *suite) execProve(ctx context.Context, log string, args ...string) (code int, err error) {
	file, err := os.Create(log)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout+scenarioTimeout, errors.New("prove did not end in time"))
	defer cancel()
	process, err := s.launcher.Start(proc.Command{
		Path: s.Prove, Args: args, Stdout: file, Stderr: file,
		// Without the paths the build cache serves the copies too, but for the changed packages.
		Env: append(os.Environ(), "GOFLAGS=-trimpath"),
	})
	if err != nil {
		return 0, err
	}
	if err := process.Wait(ctx, stopTimeout); err != nil {
		return 0, err
	}
	return process.ExitCode(), nil
}

// readOutcome reads the red checks from the verdict file. The exit code must agree with them.
func readOutcome(file string, code int) (v outcome) {
	if code != 0 && code != 1 {
		output := strings.TrimSuffix(file, ".json") + ".txt"
		return outcome{err: fmt.Errorf("the run failed, exit status %d: %s has the reason", code, output)}
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return outcome{err: err}
	}
	var judged checker.Verdict
	if err := json.Unmarshal(content, &judged); err != nil {
		return outcome{err: fmt.Errorf("%s: %w", file, err)}
	}
	for _, row := range judged.Checks {
		if !row.OK {
			v.red = append(v.red, row.Name)
		}
	}
	if judged.Passed != (code == 0) || judged.Passed != (len(v.red) == 0) || len(judged.Checks) == 0 {
		v.err = fmt.Errorf("%s contradicts itself or the exit status %d", file, code)
		return v
	}
	v.took, v.err = time.ParseDuration(judged.TotalDuration)
	return v
}
