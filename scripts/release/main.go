// Command release checks that a version of the whole system, or of one module, can be released, and makes its annotated
// tags: v0.9.0 for the whole with contracts/v0.9.0, platform/v0.9.0 and so on, or todo-service/v0.9.1 alone. It pushes
// nothing.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"example.com/todo/scripts/internal/cli"
	"example.com/todo/scripts/internal/workspace"
)

func main() { os.Exit(cli.Run(newCommand())) }

func newCommand() *cobra.Command {
	var tree string
	var create bool
	c := &cobra.Command{
		Use:   "release [--tree=.] [--create] [MODULE] VERSION",
		Short: "Check a release and make its tags: of one module, or of all of them and the whole",
		Long: `Without --create it checks only. A release needs a clean tree on the branch main, a version newer than the last one,
a section in CHANGELOG.md whose heading is "## [TAG] - YYYY-MM-DD", required versions of contracts and platform that
are released, and contracts/released as "make -C contracts release" writes it, which this command runs.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 && len(args) != 2 {
				return errors.New("name a version, such as v0.9.0, or a module and its version, such as todo-service v0.9.1")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			return run(c.Context(), c.OutOrStdout(), tree, create, args)
		},
	}
	c.Flags().StringVar(&tree, "tree", ".", "root of the workspace")
	c.Flags().BoolVar(&create, "create", false, "make the tags")
	return c
}

// run checks, and creates if create is true, the release of args: VERSION, or MODULE and VERSION.
func run(ctx context.Context, out io.Writer, root string, create bool, args []string) error {
	w, err := workspace.Open(root)
	if err != nil {
		return err
	}
	names, version := args[:len(args)-1], args[len(args)-1]
	r := release{workspace: w, version: version}
	if r.modules, err = w.Select(names); err != nil {
		return err
	}
	for _, m := range r.modules {
		r.tags = append(r.tags, workspace.Tag(m.Name, version))
	}
	if len(names) == 0 {
		r.tags = append(r.tags, version)
	}
	notes, err := r.check(ctx)
	if err != nil {
		return err
	}
	if !create {
		fmt.Fprintf(out, "checked; --create makes the tags %s\n", strings.Join(r.tags, " "))
		return nil
	}
	if err := r.createTags(ctx, notes); err != nil {
		return err
	}
	fmt.Fprintf(out, "created; publish them with:\n  git push --atomic origin %s %s\n", branch, strings.Join(r.tags, " "))
	return nil
}
