package main

import (
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"example.com/todo/scripts/prove/mutants"
)

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
