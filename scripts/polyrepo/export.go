package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"example.com/todo/scripts/internal/workspace"
)

// license is the file at the root that covers every module. A module zip and a folder that is taken away contain it.
const license = "LICENSE"

// exporter copies modules out of git trees.
type exporter struct {
	workspace *workspace.Workspace
	scratch   string // a folder for temporary index files
}

// snapshot stores the files of the working tree, uncommitted and new ones included, ignored ones not, as a git tree and
// returns its id. It changes neither the index nor a branch.
func (e exporter) snapshot(ctx context.Context) (tree string, err error) {
	err = e.withIndex(func(environ []string) error {
		// From the committed files on, so that an ignored file that is committed is kept.
		if _, err := e.workspace.Git(ctx, environ, "read-tree", "HEAD"); err != nil {
			return err
		}
		if _, err := e.workspace.Git(ctx, environ, "add", "--all"); err != nil {
			return err
		}
		tree, err = e.workspace.Git(ctx, environ, "write-tree")
		return err
	})
	return tree, err
}

// export writes the module's folder of a git tree into dir, and the license of the working tree.
func (e exporter) export(ctx context.Context, tree, name, dir string) error {
	err := e.withIndex(func(environ []string) error {
		if _, err := e.workspace.Git(ctx, environ, "read-tree", tree+":"+name); err != nil {
			return err
		}
		_, err := e.workspace.Git(ctx, environ, "checkout-index", "--all", "--prefix="+dir+"/")
		return err
	})
	if err != nil {
		return err
	}
	text, err := os.ReadFile(filepath.Join(e.workspace.Root, license))
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, license), text, 0o644)
}

// withIndex calls f with the environment variable that gives git an empty index of its own.
func (e exporter) withIndex(f func(environ []string) error) (err error) {
	dir, err := os.MkdirTemp(e.scratch, "index")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	return f([]string{"GIT_INDEX_FILE=" + filepath.Join(dir, "index")})
}
