// Command rename replaces the module prefix of the workspace, for a fork: after
// rename example.org/acme/tasks the module example.com/todo/platform is
// example.org/acme/tasks/platform. Generated code stays unchanged, because its descriptors contain the length
// of each name: make generate renames it.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

const (
	current   = "example.com/todo"
	generated = "contracts/gen/"
	self      = "scripts/rename/"
)

var prefixPattern = regexp.MustCompile(`^[a-z0-9.-]+\.[a-z]+(/[A-Za-z0-9._-]+)*$`)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "rename:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) != 1 || !prefixPattern.MatchString(args[0]) {
		return errors.New("one argument is needed, a module prefix such as example.org/acme/tasks")
	}
	n, err := rename(ctx, ".", args[0])
	if err != nil {
		return err
	}
	fmt.Printf("%d files renamed. Now: make generate && make build vet\n", n)
	return nil
}

// rename replaces the prefix in every file that git tracks below root. It returns the number of changed files.
func rename(ctx context.Context, root, prefix string) (renamed int, err error) {
	// git grep lists the tracked text files that contain the prefix, and no symbolic links.
	list := exec.CommandContext(ctx, "git", "grep", "-lzIF", current, "--", ".", ":!"+generated, ":!"+self)
	list.Dir = root
	files, err := list.Output()
	if err != nil {
		return 0, fmt.Errorf("find the files with %s, unless they were renamed before: %w", current, err)
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(files), "\x00"), "\x00") {
		file := filepath.Join(root, name)
		content, err := os.ReadFile(file)
		if err != nil {
			return renamed, err
		}
		// An existing file keeps its permissions.
		if err := os.WriteFile(file, bytes.ReplaceAll(content, []byte(current), []byte(prefix)), 0o644); err != nil {
			return renamed, err
		}
		renamed++
	}
	return renamed, nil
}
