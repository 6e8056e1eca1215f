// Command polyrepo proves that each module of the workspace can live in a repository of its own. It exports a module into
// an empty folder, drops the replace lines of its go.mod, and builds, vets and tests it there, and with --docker builds
// its image. The modules that it requires come from a module proxy of files:
//
//	required version      served from
//	has a release tag     the tag
//	is newer than all     the working tree: it is the next release
//	is anything else      an error
//
// So a module fails that imports what is internal to another one, reads a file outside of its folder, or uses a symbol
// that its required versions do not have.
package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"example.com/todo/scripts/internal/cli"
	"example.com/todo/scripts/internal/proc"
	"example.com/todo/scripts/internal/workspace"
)

func main() { os.Exit(cli.Run(newCommand())) }

func newCommand() *cobra.Command {
	var tree, docker string
	c := &cobra.Command{
		Use:   "polyrepo [--tree=.] [MODULE…]",
		Short: "Build, vet and test each module in a folder of its own, against released versions of the others",
		Long: `Exports each module, or the named ones, into an empty folder of its own, drops the replace lines of its
go.mod, serves the modules that it requires from a proxy of files, and runs go build, go vet and go test there.
The tests get the environment, so that "devstack with" gives them servers. With --docker it also runs
"make image" for a module that has a Dockerfile.`,
		RunE: func(c *cobra.Command, names []string) error {
			return run(c.Context(), c.OutOrStdout(), tree, docker, names)
		},
	}
	c.Flags().StringVar(&tree, "tree", ".", "root of the workspace")
	c.Flags().StringVar(&docker, "docker", "", "command of Docker that builds the images; empty builds none")
	return c
}

func run(ctx context.Context, out io.Writer, root, docker string, names []string) (err error) {
	w, err := workspace.Open(root)
	if err != nil {
		return err
	}
	modules, err := w.Select(names)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "polyrepo")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	c := &checker{
		out: out, workspace: w, dir: dir, docker: docker,
		exporter: exporter{workspace: w, scratch: dir},
		proxy:    proxy{filepath.Join(dir, "proxy")},
		launcher: proc.NewLauncher(),
		served:   map[workspace.Requirement]served{},
	}
	if c.tree, err = c.exporter.snapshot(ctx); err != nil {
		return err
	}
	if err := c.setGoEnviron(ctx); err != nil {
		return err
	}
	var failed []error
	for _, m := range modules {
		err := c.check(ctx, m)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}
