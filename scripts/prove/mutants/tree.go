package mutants

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// copyTree copies the files of a working tree that git tracks or would add into a new folder,
// with their uncommitted changes.
func copyTree(ctx context.Context, tree string) (dir string, err error) {
	list := exec.CommandContext(ctx, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	list.Dir = tree
	names, err := list.Output()
	if err != nil {
		return "", fmt.Errorf("git ls-files in %s: %w", tree, err)
	}
	if dir, err = os.MkdirTemp("", "prove-mutant-"); err != nil {
		return "", err
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(names), "\x00"), "\x00") {
		err := copyFile(filepath.Join(tree, name), filepath.Join(dir, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // deleted and not committed
			return "", errors.Join(err, os.RemoveAll(dir))
		}
	}
	return dir, nil
}

func copyFile(from, to string) (err error) {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	target, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	return errors.Join(err, target.Close())
}

// apply applies a patch to the files below dir, completely or not at all. With check it only
// reports whether that is possible.
func apply(ctx context.Context, dir string, patch []byte, check bool) error {
	args := []string{"apply"}
	if check {
		args = append(args, "--check")
	}
	command := exec.CommandContext(ctx, "git", args...)
	command.Dir = dir
	// git would take a repository around dir for the tree.
	command.Env = append(os.Environ(), "GIT_CEILING_DIRECTORIES="+filepath.Dir(dir))
	command.Stdin = bytes.NewReader(patch)
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("the patch does not apply: %w\n%s", err, bytes.TrimSpace(output))
	}
	return nil
}
