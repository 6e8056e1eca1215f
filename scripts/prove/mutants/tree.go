package mutants

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // a missing file is deleted and not committed
			return "", errors.Join(err, os.RemoveAll(dir))
		}
	}
	return dir, nil
}

// copyFile copies a file, or a symbolic link as one, and makes its folder.
func copyFile(from, to string) error {
	info, err := os.Lstat(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		link, err := os.Readlink(from)
		if err != nil {
			return err
		}
		return os.Symlink(link, to)
	}
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, content, 0o644)
}

// apply applies a patch to the files below dir, completely or not at all. With the flag --check it only reports
// whether that is possible.
func apply(ctx context.Context, dir string, patch []byte, flags ...string) error {
	command := exec.CommandContext(ctx, "git", append([]string{"apply"}, flags...)...)
	command.Dir = dir
	// git would take a repository around dir for the tree.
	command.Env = append(os.Environ(), "GIT_CEILING_DIRECTORIES="+filepath.Dir(dir))
	command.Stdin = bytes.NewReader(patch)
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("the patch does not apply: %w\n%s", err, bytes.TrimSpace(output))
	}
	return nil
}
