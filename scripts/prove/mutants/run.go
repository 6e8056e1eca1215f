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
			if s.isBaselineGreen(ctx, m.scenario) {
				green++
			}
		}
		if s.isCaught(ctx, m) {
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

// isBaselineGreen reports whether a scenario is green on the unchanged tree.
func (s *suite) isBaselineGreen(ctx context.Context, scenario string) bool {
	v := s.runProve(ctx, "unchanged-"+scenario, scenario, nil)
	green := v.err == nil && len(v.red) == 0
	s.reportResult("(unchanged)", scenario, "green", green, v)
	return green
}

// isCaught reports whether the mutant's check, and no other, is red on a patched copy of the
// tree.
func (s *suite) isCaught(ctx context.Context, m mutant) bool {
	v := s.runProve(ctx, m.name, m.scenario, m.patch)
	caught := v.err == nil && len(v.red) == 1 && v.red[0] == m.check
	s.reportResult(m.name, m.scenario, "caught", caught, v)
	return caught
}

func (s *suite) reportResult(name, scenario, good string, ok bool, v outcome) {
	if !ok {
		good = "NOT " + good
	}
	what := "red: " + strings.Join(v.red, ", ")
	switch {
	case v.err != nil:
		what = v.err.Error()
	case len(v.red) == 0:
		what = "no check red"
	}
	s.printf("%-22s %-20s %-11s %3.0f s  %s", name, scenario, good, v.took.Seconds(), what)
}

// outcome is the result of one run. A failed run proves nothing, whatever was red.
type outcome struct {
	red  []string
	took time.Duration // since the cluster was up
	err  error
}

func (s *suite) runProve(ctx context.Context, name, scenario string, patch []byte) (v outcome) {
	tree := s.Tree
	if patch != nil {
		if tree, v.err = copyTree(ctx, s.Tree); v.err != nil {
			return v
		}
		defer func() { v.err = errors.Join(v.err, os.RemoveAll(tree)) }()
		if v.err = apply(ctx, tree, patch, false); v.err != nil {
			return v
		}
	}
	dir := filepath.Join(s.dir, name)
	if v.err = errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755)); v.err != nil {
		return v
	}
	out := filepath.Join(s.dir, name+".json")
	_ = os.Remove(out) // from an earlier run
	code, err := s.execProve(ctx, filepath.Join(s.dir, name+".txt"),
		"--scenario", scenario, "--seed", strconv.FormatInt(s.Seed, 10), "--at-most", scenarioTimeout.String(),
		"--tree", tree, "--dir", dir, "--out", out)
	if err == nil {
		v, err = readOutcome(out, code)
	}
	v.err = err
	return v
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
	select {
	case <-process.Done():
		return process.ExitCode(), nil
	case <-ctx.Done():
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		return 0, errors.Join(context.Cause(ctx), process.Stop(limit))
	}
}

// readOutcome reads the red checks from the verdict file. The exit code must agree with them.
func readOutcome(file string, code int) (outcome, error) {
	if code != 0 && code != 1 {
		return outcome{}, fmt.Errorf("the run failed, exit status %d: %s", code, strings.TrimSuffix(file, ".json")+".txt has the reason")
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return outcome{}, err
	}
	var judged checker.Verdict
	if err := json.Unmarshal(content, &judged); err != nil {
		return outcome{}, fmt.Errorf("%s: %w", file, err)
	}
	var v outcome
	for _, row := range judged.Checks {
		if !row.OK {
			v.red = append(v.red, row.Name)
		}
	}
	if judged.Passed != (code == 0) || judged.Passed != (len(v.red) == 0) || len(judged.Checks) == 0 {
		return v, fmt.Errorf("%s contradicts itself or the exit status %d", file, code)
	}
	v.took, err = time.ParseDuration(judged.TotalDuration)
	return v, err
}
