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
	// scenarioTimeout is how long a scenario may take, from the moment the system is up.
	scenarioTimeout = 60 * time.Second
	// startTimeout is what building and starting may take besides.
	startTimeout = 10 * time.Minute
	stopTimeout  = time.Minute
)

// ErrSurvived says that a mutant was not caught, or that the tree as it is was not green.
var ErrSurvived = errors.New("not all is as it has to be")

// Options say what is to be shown.
type Options struct {
	Prove string   // the program, whose scenarios and audit are used
	Tree  string   // the source tree
	Seed  int64    // of all runs
	Only  []string // mutants by name; none are all
	Out   io.Writer
}

// Run shows for each mutant that its row, and no other, turns red, and that the scenario is green
// without it. The error is ErrSurvived when that is not so, and another when it could not be found out.
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

func runSuite(ctx context.Context, r *suite) error {
	r.printf("seed %d, logs in %s", r.Seed, r.dir)
	judged, green, caught := map[string]bool{}, 0, 0
	for _, m := range r.mutants {
		if !judged[m.scenario] {
			judged[m.scenario] = true
			if r.isBaselineGreen(ctx, m.scenario) {
				green++
			}
		}
		if r.isCaught(ctx, m) {
			caught++
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	r.printf("%d of %d mutants caught; the tree as it is was green in %d of %d scenarios", caught, len(r.mutants), green, len(judged))
	if caught < len(r.mutants) || green < len(judged) {
		return ErrSurvived
	}
	return nil
}

func (r *suite) printf(format string, args ...any) {
	fmt.Fprintf(r.Out, "%s\n", printable.Lines(fmt.Sprintf(format, args...)))
}

// isBaselineGreen tells whether a scenario is green on the tree as it is.
func (r *suite) isBaselineGreen(ctx context.Context, scenario string) bool {
	v := r.runProve(ctx, "unchanged-"+scenario, scenario, nil)
	green := v.err == nil && len(v.red) == 0
	r.reportResult("(unchanged)", scenario, "green", green, v)
	return green
}

// isCaught tells whether a mutant's row is red, and no other, on a copy of the tree that it is brought
// back to.
func (r *suite) isCaught(ctx context.Context, m mutant) bool {
	v := r.runProve(ctx, m.name, m.scenario, m.patch)
	caught := v.err == nil && len(v.red) == 1 && v.red[0] == m.check
	r.reportResult(m.name, m.scenario, "caught", caught, v)
	return caught
}

func (r *suite) reportResult(name, scenario, good string, ok bool, v outcome) {
	if !ok {
		good = "NOT " + good
	}
	what := "red: " + strings.Join(v.red, ", ")
	switch {
	case v.err != nil:
		what = v.err.Error()
	case len(v.red) == 0:
		what = "no row red"
	}
	r.printf("%-22s %-20s %-11s %3.0f s  %s", name, scenario, good, v.took.Seconds(), what)
}

// outcome is what came of a run. One that failed proves nothing, whatever was red.
type outcome struct {
	red  []string
	took time.Duration // from when the system was up
	err  error
}

func (r *suite) runProve(ctx context.Context, name, scenario string, patch []byte) (v outcome) {
	tree := r.Tree
	if patch != nil {
		if tree, v.err = copyTree(ctx, r.Tree); v.err != nil {
			return v
		}
		defer func() { v.err = errors.Join(v.err, os.RemoveAll(tree)) }()
		if v.err = apply(ctx, tree, patch, false); v.err != nil {
			return v
		}
	}
	dir := filepath.Join(r.dir, name)
	if v.err = errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755)); v.err != nil {
		return v
	}
	out := filepath.Join(r.dir, name+".json")
	_ = os.Remove(out) // of an earlier run
	code, err := r.execProve(ctx, filepath.Join(r.dir, name+".txt"),
		"--scenario", scenario, "--seed", strconv.FormatInt(r.Seed, 10), "--at-most", scenarioTimeout.String(),
		"--tree", tree, "--dir", dir, "--out", out)
	if err == nil {
		v, err = readOutcome(out, code)
	}
	v.err = err
	return v
}

// execProve runs the program, and returns its exit status. What it says is in the file log.
func (r *suite) execProve(ctx context.Context, log string, args ...string) (code int, err error) {
	file, err := os.Create(log)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout+scenarioTimeout, errors.New("it took far too long"))
	defer cancel()
	process, err := r.launcher.Start(proc.Command{
		Path: r.Prove, Args: args, Stdout: file, Stderr: file,
		// The copies' packages are the same ones to the build cache, but for what is changed.
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

// readOutcome takes the red rows from a run's verdict, of which the exit status says whether it is one.
func readOutcome(file string, code int) (outcome, error) {
	if code != 0 && code != 1 {
		return outcome{}, fmt.Errorf("the run failed, exit status %d: %s", code, strings.TrimSuffix(file, ".json")+".txt tells why")
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
	if judged.OK() != (code == 0) || judged.OK() != (len(v.red) == 0) || len(judged.Checks) == 0 {
		return v, fmt.Errorf("%s contradicts itself, or the exit status %d", file, code)
	}
	v.took, err = time.ParseDuration(judged.TotalDuration)
	return v, err
}
