package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"

	"example.com/todo/scripts/internal/workspace"
)

const (
	branch    = "main"
	changelog = "CHANGELOG.md"
	contracts = "contracts" // the module with the released contract
)

// release is one release, which may be of several modules.
type release struct {
	workspace *workspace.Workspace
	modules   []workspace.Module
	version   string
	tags      []string // those of the modules in order, then that of the whole, if it is one
}

// check returns the text of the release in CHANGELOG.md, or every reason against the release.
func (r release) check(ctx context.Context) (notes string, err error) {
	if err := r.checkVersion(); err != nil {
		return "", err
	}
	notes, err = r.readNotes()
	return notes, errors.Join(err, r.checkTree(ctx), r.checkNewer(ctx), r.checkRequirements(ctx))
}

func (r release) checkVersion() error {
	if semver.Canonical(r.version) != r.version {
		return fmt.Errorf("%q is no version such as v0.9.0 or v0.9.0-rc.1", r.version)
	}
	for _, m := range r.modules {
		// From v2 on the path of a Go module ends with its major version.
		if err := module.Check(m.Path, r.version); err != nil {
			return err
		}
	}
	return nil
}

// checkTree demands the branch and a tree without changes, after it has written the released contract.
func (r release) checkTree(ctx context.Context) error {
	if slices.ContainsFunc(r.modules, func(m workspace.Module) bool { return m.Name == contracts }) {
		write := exec.CommandContext(ctx, "make", "--no-print-directory", "-C", contracts, "release")
		write.Dir = r.workspace.Root
		if output, err := write.CombinedOutput(); err != nil {
			return fmt.Errorf("make -C %s release: %w: %s", contracts, err, output)
		}
	}
	var found []error
	switch current, err := r.workspace.Git(ctx, nil, "rev-parse", "--abbrev-ref", "HEAD"); {
	case err != nil:
		return err
	case current != branch:
		found = append(found, fmt.Errorf("a release is made on the branch %s, not on %s", branch, current))
	}
	switch changes, err := r.workspace.Git(ctx, nil, "status", "--porcelain"); {
	case err != nil:
		return err
	case changes != "":
		found = append(found, fmt.Errorf("uncommitted changes; commit or remove them:\n%s", changes))
	}
	return errors.Join(found...)
}

// checkNewer compares the version with the last release of each module, and of the whole.
func (r release) checkNewer(ctx context.Context) error {
	var found []error
	for _, tag := range r.tags {
		name := strings.TrimSuffix(strings.TrimSuffix(tag, r.version), "/")
		released, err := r.workspace.Released(ctx, name)
		if err != nil {
			return err
		}
		if len(released) == 0 {
			continue
		}
		if last := released[len(released)-1]; semver.Compare(r.version, last) <= 0 {
			found = append(found, fmt.Errorf("%s is not newer than the last release, %s", tag, workspace.Tag(name, last)))
		}
	}
	return errors.Join(found...)
}

// checkRequirements demands that each required version of another module is released, or is part of this release.
func (r release) checkRequirements(ctx context.Context) error {
	var found []error
	for _, m := range r.modules {
		for _, required := range m.Requires {
			released, err := r.workspace.Released(ctx, required.Name)
			if err != nil {
				return err
			}
			tag := workspace.Tag(required.Name, required.Version)
			if !slices.Contains(released, required.Version) && !slices.Contains(r.tags, tag) {
				found = append(found, fmt.Errorf("%s/go.mod requires %s, which is not released; release it first, or require "+
					"a version that is", m.Name, tag))
			}
		}
	}
	return errors.Join(found...)
}

// readNotes returns the text below the heading of the release, whose name is its last tag.
func (r release) readNotes() (string, error) {
	content, err := os.ReadFile(filepath.Join(r.workspace.Root, changelog))
	if err != nil {
		return "", err
	}
	tag := r.tags[len(r.tags)-1]
	heading := regexp.MustCompile(`(?m)^## \[` + regexp.QuoteMeta(tag) + `\] - \d{4}-\d{2}-\d{2}\n`)
	place := heading.FindIndex(content)
	if place == nil {
		return "", fmt.Errorf(`%s has no section "## [%s] - YYYY-MM-DD"`, changelog, tag)
	}
	notes, _, _ := strings.Cut(string(content[place[1]:]), "\n## ")
	if notes = strings.TrimSpace(notes); notes == "" {
		return "", fmt.Errorf("the section [%s] of %s is empty", tag, changelog)
	}
	return notes, nil
}

// createTags creates every tag, or none.
func (r release) createTags(ctx context.Context, notes string) error {
	for i, tag := range r.tags {
		// The cleanup keeps the headings of the notes, which begin like comments.
		_, err := r.workspace.Git(ctx, nil, "tag", "--annotate", "--cleanup=whitespace", "--message="+tag, "--message="+notes, tag)
		if err != nil && i > 0 {
			_, undo := r.workspace.Git(context.WithoutCancel(ctx), nil, append([]string{"tag", "--delete"}, r.tags[:i]...)...)
			err = errors.Join(err, undo)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
