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
		Short: "Show that the proof notices naive designs",
		Long: `Brings naive designs back to copies of the tree, one at a time, and shows that each turns
exactly its row of the verdict red, and that the tree as it is stays green in the same
scenario. Needs git.

Exit status: 0 when all were caught, 1 when not, 2 when it could not be found out.

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
	c.Flags().Int64Var(&o.Seed, "seed", rand.Int64N(1_000_000), "what the random `number`s begin with")
	c.Flags().StringSliceVar(&o.Only, "only", nil, "`names` of the mutants to show, with commas between (default: all)")
	c.Flags().StringVar(&o.Tree, "tree", ".", "`folder` of the source tree")
	return c
}
