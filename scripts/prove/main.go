// Command prove implements a robustness test in the manner of Jepsen: it runs the whole system,
// injects faults while clients change tasks, and checks the history of the run against every
// promise.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"example.com/todo/platform/printable"
	"example.com/todo/platform/process"
	"example.com/todo/scripts/internal/console"
	"example.com/todo/scripts/internal/toolchain"
	"example.com/todo/scripts/prove/internal/checker"
	"example.com/todo/scripts/prove/internal/faults"
	"example.com/todo/scripts/prove/internal/release"
	"example.com/todo/scripts/prove/internal/runner"
	"example.com/todo/scripts/prove/mutants"
)

// The exit codes: every promise held, a promise was broken, the run itself failed.
const (
	exitHeld = iota
	exitBroken
	exitFailed
)

var errBroken = errors.New("a promise was broken")

func main() { os.Exit(run()) }

func run() int {
	// Under root PostgreSQL runs as another user, which must be able to read the files made for
	// it.
	syscall.Umask(0o022)
	ctx, stop := process.Context()
	defer stop()
	err := newCommand().ExecuteContext(ctx)
	switch {
	case err == nil:
		return exitHeld
	case errors.Is(err, errBroken), errors.Is(err, mutants.ErrSurvived):
		return exitBroken
	default:
		fmt.Fprintf(os.Stderr, "prove: %s\n", printable.EscapeLines(err.Error()))
		return exitFailed
	}
}

// flags are the flags of the command line.
type flags struct {
	seed     int64
	changes  int
	scenario string
	tree     string
	released string // a revision
	relTree  string // instead of a revision
	dir      string
	out      string
	keep     bool
	timeout  time.Duration
}

func newCommand() *cobra.Command {
	var f flags
	c := &cobra.Command{
		Use:   "prove",
		Short: "Prove that nothing is lost, doubled or out of order",
		Long: `Starts PostgreSQL, two Redis servers, Kafka and two replicas of every service on free ports,
in a folder of its own. Clients create, change, complete, reopen and delete tasks while
processes are killed and frozen and connections are cut. Then the cluster quiesces, the topic
and the dead letters are replayed, and the checker judges whether each promise held.

Exit status: 0 if every promise held, 1 if one was broken, 2 if the run failed.

Scenarios:
` + listScenarios(),
		Args:          cobra.NoArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          func(c *cobra.Command, _ []string) error { return prove(c.Context(), f, c.OutOrStdout()) },
	}
	c.Flags().Int64Var(&f.seed, "seed", rand.Int64N(1_000_000), "`number` that seeds all random choices")
	c.Flags().IntVar(&f.changes, "changes", 0, "`number` of changes that the clients make (default: the scenario's)")
	c.Flags().StringVar(&f.scenario, "scenario", "full", "`name` of the scenario")
	c.Flags().StringVar(&f.tree, "tree", ".", "`folder` of the source tree that the services are built from")
	c.Flags().StringVar(&f.released, "released", "", "git `revision` of the released version, for the scenarios that deploy the tree over it (default: the newest tag v* before HEAD)")
	c.Flags().StringVar(&f.relTree, "released-tree", "", "`folder` of the released version's source tree, instead of --released")
	c.Flags().StringVar(&f.dir, "dir", "", "`folder` for data and logs (default: a new one in .dev/prove of the tree)")
	c.Flags().StringVar(&f.out, "out", "", "`file` for the verdict as JSON (default: verdict.json beside the folder)")
	c.Flags().BoolVar(&f.keep, "keep", false, "keep the logs even if every promise held")
	c.Flags().DurationVar(&f.timeout, "at-most", 0, "fail after this `duration`, not counting build and start")
	c.AddCommand(newMutantsCommand())
	return c
}

func newMutantsCommand() *cobra.Command {
	var o mutants.Options
	c := &cobra.Command{
		Use:   "mutants",
		Short: "Bring naive designs back and show that the checker catches each",
		Long: `Applies naive designs to copies of the source tree, one at a time, and runs the scenario that
concerns each. A mutant is caught if exactly its check is red; the unchanged tree must be green
in the same scenario. Needs git.

Exit status: 0 if all were caught, 1 if not, 2 if a run failed.

Mutants:
` + mutants.List(),
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			if o.Prove, err = os.Executable(); err != nil {
				return err
			}
			if o.Tree, err = filepath.Abs(o.Tree); err != nil {
				return err
			}
			o.Out = c.OutOrStdout()
			return mutants.Run(c.Context(), o)
		},
	}
	c.Flags().Int64Var(&o.Seed, "seed", rand.Int64N(1_000_000), "`number` that seeds all random choices")
	c.Flags().StringSliceVar(&o.Only, "only", nil, "comma-separated `names` of mutants (default: all)")
	c.Flags().StringVar(&o.Tree, "tree", ".", "`folder` of the source tree")
	return c
}

func listScenarios() string {
	var b strings.Builder
	for _, s := range faults.Scenarios(0) {
		fmt.Fprintf(&b, "  %-20s %6d changes: %s\n", s.Name, s.Changes, s.Description)
	}
	return b.String()
}

func prove(ctx context.Context, f flags, out io.Writer) error {
	scenario, err := faults.Find(f.scenario, f.changes)
	if err != nil {
		return err
	}
	if err := f.resolvePaths(); err != nil {
		return err
	}
	tools, err := toolchain.New(console.New(os.Stderr, os.Stderr), os.Getenv)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(f.dir, "log"), 0o755); err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(f.dir, "log", "prove.log"))
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	printf := func(format string, args ...any) {
		fmt.Fprintf(out, "%s\n", printable.EscapeLines(fmt.Sprintf(format, args...)))
	}
	printf("seed %d, scenario %s, %d changes, logs in %s", f.seed, scenario.Name, scenario.Changes, filepath.Join(f.dir, "log"))
	released, err := f.findReleased(ctx, scenario)
	if err != nil {
		return err
	}
	began := time.Now()
	run, err := runner.Run(ctx, runner.Options{
		Seed: f.seed, Scenario: scenario, Tree: f.tree, Released: released, Dir: f.dir, Tools: tools, Printf: printf,
		Timeout: f.timeout, Log: slog.New(slog.NewTextHandler(log, nil)),
	})
	if run == nil {
		return err
	}
	if err != nil {
		printf("prove: %v", err)
	}
	verdict := checker.Judge(run)
	if err := errors.Join(verdict.WriteTable(out), f.writeVerdict(verdict)); err != nil {
		return err
	}
	printf("the run took %s; the verdict is in %s", time.Since(began).Round(time.Second), f.out)
	switch {
	case !verdict.Passed:
		return errBroken
	case err != nil:
		return err
	case !f.keep:
		return os.RemoveAll(f.dir)
	}
	return nil
}

// resolvePaths makes the paths absolute and sets the defaults of those that were not given.
func (f *flags) resolvePaths() (err error) {
	if f.tree, err = filepath.Abs(f.tree); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(f.tree, "go.work")); err != nil {
		return fmt.Errorf("%s is not a source tree (see --tree): %w", f.tree, err)
	}
	if f.dir == "" {
		f.dir = filepath.Join(f.tree, ".dev", "prove", fmt.Sprintf("%s-%d-%d", f.scenario, f.seed, os.Getpid()))
	}
	if f.dir, err = filepath.Abs(f.dir); err != nil {
		return err
	}
	if f.out == "" {
		f.out = filepath.Join(filepath.Dir(f.dir), "verdict.json")
	}
	return nil
}

// findReleased returns the released version if the scenario needs it.
func (f *flags) findReleased(ctx context.Context, s faults.Scenario) (r runner.Released, err error) {
	switch {
	case !s.NeedsReleased():
		return r, nil
	case f.relTree != "":
		r.Tree, err = filepath.Abs(f.relTree)
		r.Name = r.Tree
		return r, err
	case f.released == "":
		if f.released, err = release.FindLatest(ctx, f.tree); err != nil {
			return r, fmt.Errorf("find the released version (--released-tree names its source tree without git): %w", err)
		}
	}
	r.Tree, r.Name, err = release.Export(ctx, f.tree, f.released, filepath.Join(f.tree, ".dev", "prove", "released"))
	return r, err
}

func (f *flags) writeVerdict(v checker.Verdict) error {
	file, err := os.Create(f.out)
	if err != nil {
		return err
	}
	return errors.Join(v.WriteJSON(file), file.Close())
}
