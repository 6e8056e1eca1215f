// Package workspace reads the modules that a go.work file joins, the versions that they require of each other, and
// their release tags in git.
package workspace

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/semver"
)

// tools is the module of the workspace's own commands. It works on the whole tree, so it is not delivered.
const tools = "scripts"

// Workspace is a checked-out tree with a go.work file at its root.
type Workspace struct {
	Root    string   // absolute
	Modules []Module // the delivered ones, in the order of go.work
}

// Module is one module of a workspace.
type Module struct {
	Name     string // of its folder below the root, and the prefix of its release tags
	Path     string
	Requires []Requirement
}

// Requirement is the version that a module requires of another module of the workspace.
type Requirement struct {
	Name, Path, Version string
}

// Open reads go.work in root and the go.mod of each module.
func Open(root string) (*Workspace, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	content, err := os.ReadFile(filepath.Join(root, "go.work"))
	if err != nil {
		return nil, fmt.Errorf("%w: name the root of the workspace with --tree", err)
	}
	work, err := modfile.ParseWork("go.work", content, nil)
	if err != nil {
		return nil, err
	}
	w := &Workspace{Root: root}
	required := map[string][]*modfile.Require{}
	for _, use := range work.Use {
		m := Module{Name: path.Clean(use.Path)}
		if m.Name == tools {
			continue
		}
		name := filepath.Join(root, m.Name, "go.mod")
		content, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		mod, err := modfile.Parse(name, content, nil)
		if err != nil {
			return nil, err
		}
		m.Path, required[m.Name] = mod.Module.Mod.Path, mod.Require
		w.Modules = append(w.Modules, m)
	}
	for i := range w.Modules {
		w.Modules[i].Requires = w.requirements(required[w.Modules[i].Name])
	}
	return w, nil
}

// requirements returns those of the workspace's own modules.
func (w *Workspace) requirements(all []*modfile.Require) []Requirement {
	var own []Requirement
	for _, r := range all {
		for _, m := range w.Modules {
			if m.Path == r.Mod.Path {
				own = append(own, Requirement{Name: m.Name, Path: m.Path, Version: r.Mod.Version})
			}
		}
	}
	return own
}

// Select returns the modules with the given names, or all if there are none.
func (w *Workspace) Select(names []string) ([]Module, error) {
	if len(names) == 0 {
		return w.Modules, nil
	}
	var all []string
	for _, m := range w.Modules {
		all = append(all, m.Name)
	}
	var selected []Module
	for _, name := range names {
		i := slices.Index(all, name)
		if i < 0 {
			return nil, fmt.Errorf("%q is no module; the modules are %s", name, strings.Join(all, ", "))
		}
		selected = append(selected, w.Modules[i])
	}
	return selected, nil
}

// Tag returns the release tag of a module's version; the module "" is the system as a whole.
func Tag(module, version string) string { return path.Join(module, version) }

// Released returns the versions of a module that have a tag, in ascending order.
func (w *Workspace) Released(ctx context.Context, module string) ([]string, error) {
	tags, err := w.Git(ctx, nil, "tag", "--list", Tag(module, "v*"))
	if err != nil {
		return nil, err
	}
	var versions []string
	for _, tag := range strings.Fields(tags) {
		// "v*" matches the tags of the modules, too, if a name starts with v.
		if version := path.Base(tag); Tag(module, version) == tag && semver.IsValid(version) {
			versions = append(versions, version)
		}
	}
	semver.Sort(versions)
	return versions, nil
}

// Git runs git in the root, with additional environment variables, and returns its output without the last line end.
func (w *Workspace) Git(ctx context.Context, environ []string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = w.Root
	cmd.Env = append(cmd.Environ(), environ...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimRight(string(out), "\n"), nil
}
