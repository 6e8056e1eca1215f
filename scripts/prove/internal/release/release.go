// Package release finds the released version of a source tree and exports it from git.
package release

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"example.com/todo/scripts/internal/workspace"
)

// baseline stands for the released version until there is a release tag: the state before the first release.
const baseline = "28fb1c2d5c8601688cbbf966927a74aeb9d63038"

// FindLatest returns the newest release tag (v1.2.3) that the tree's HEAD contains and that is not a tag of HEAD itself.
// Without such a tag it returns the baseline.
func FindLatest(ctx context.Context, tree string) (string, error) {
	// The suffix sorts v1.0.0-rc1 before v1.0.0.
	tags, err := runGit(ctx, tree, "-c", "versionsort.suffix=-", "tag", "--list", "v[0-9]*.[0-9]*.[0-9]*", "--merged", "HEAD", "--no-contains", "HEAD",
		"--sort=-version:refname")
	if err != nil {
		return "", err
	}
	if newest, _, _ := strings.Cut(tags, "\n"); newest != "" {
		return newest, nil
	}
	return baseline, nil
}

// Export writes the files of a revision of the tree's repository into a folder below dir, which is named for the
// commit. If the folder exists, its files remain: the build cache knows their paths. It returns the folder, and the
// name of the revision for a reader: the tag, and the abbreviated commit.
func Export(ctx context.Context, tree, revision, dir string) (exported, name string, err error) {
	commit, err := runGit(ctx, tree, "rev-parse", "--verify", "--quiet", "--short=12", "--end-of-options", revision+"^{commit}")
	if err != nil {
		return "", "", fmt.Errorf("the released version %s is not in the repository; a shallow clone needs git fetch --unshallow --tags: %w",
			revision, err)
	}
	name = commit
	if !strings.HasPrefix(revision, commit) {
		name = fmt.Sprintf("%s (%s)", revision, commit)
	}
	exported = filepath.Join(dir, commit)
	if _, err := os.Stat(exported); err == nil {
		return exported, name, nil
	}
	if err := exportNew(ctx, tree, commit, exported); err != nil {
		return "", "", fmt.Errorf("export the released version %s: %w", name, err)
	}
	return exported, name, nil
}

// exportNew makes the folder dir in one step, so that it is complete whenever it exists.
func exportNew(ctx context.Context, tree, commit, dir string) (err error) {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	partial, err := os.MkdirTemp(filepath.Dir(dir), "partial-")
	if err != nil {
		return err
	}
	if err := errors.Join(extractArchive(ctx, tree, commit, partial), os.Chmod(partial, 0o755)); err != nil {
		return errors.Join(err, os.RemoveAll(partial))
	}
	if err := os.Rename(partial, dir); err != nil {
		err = errors.Join(err, os.RemoveAll(partial))
		if _, exists := os.Stat(dir); exists == nil { // another run was quicker
			return nil
		}
		return err
	}
	return nil
}

// extractArchive extracts what git archive writes.
func extractArchive(ctx context.Context, tree, commit, dir string) error {
	archive := exec.CommandContext(ctx, "git", "archive", "--format=tar", commit)
	extract := exec.CommandContext(ctx, "tar", "-x", "-C", dir)
	archive.Dir = tree
	var messages bytes.Buffer
	extract.Stderr = &messages
	stream, err := archive.StdoutPipe()
	if err != nil {
		return err
	}
	extract.Stdin = stream
	if err := archive.Start(); err != nil {
		return err
	}
	err = extract.Run()
	_ = stream.Close() // git archive ends, also if tar has read only a part
	if err := errors.Join(err, archive.Wait()); err != nil {
		return fmt.Errorf("%w\n%s", err, bytes.TrimSpace(messages.Bytes()))
	}
	return nil
}

func runGit(ctx context.Context, tree string, args ...string) (string, error) {
	w := workspace.Workspace{Root: tree}
	return w.Git(ctx, nil, args...)
}
