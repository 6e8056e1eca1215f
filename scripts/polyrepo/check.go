package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"

	"example.com/todo/scripts/internal/proc"
	"example.com/todo/scripts/internal/workspace"
)

// libraries are the modules that others may require.
var libraries = []string{"contracts", "platform"}

// readHeaderTimeout bounds the time in which a client of the proxy sends its request's header.
const readHeaderTimeout = 5 * time.Second

// stopTimeout bounds the shutdown of a go command that is canceled; then it and its children are killed.
const stopTimeout = 5 * time.Second

// checker checks modules one after another.
type checker struct {
	out       io.Writer
	workspace *workspace.Workspace
	dir       string // everything that it writes is below
	docker    string // the command that builds images; "" builds none
	tree      string // the git tree of the working tree
	exporter  exporter
	proxy     proxy
	launcher  *proc.Launcher
	upstream  string   // the module proxies for all other modules, as in GOPROXY
	environ   []string // of the go commands, in addition to that of the process
	served    map[workspace.Requirement]served
}

// served is what the proxy serves for a required version.
type served struct {
	module.Version
	source string // for a reader
}

// setGoEnviron sets upstream, and the variables that make the go command ask the proxy first, without checksums for the
// workspace's own modules only.
func (c *checker) setGoEnviron(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, "go", "env", "GOPROXY", "GONOSUMDB")
	cmd.Dir = c.workspace.Root
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("go env: %w", err)
	}
	values := strings.Split(string(out), "\n")
	unsummed := []string{values[1]}
	for _, m := range c.workspace.Modules {
		unsummed = append(unsummed, m.Path)
	}
	c.upstream = values[0]
	c.environ = []string{
		"GOWORK=off",
		// A canceled go command does not remove its temporary files.
		"GOTMPDIR=" + c.dir,
		"GOPROXY=" + c.proxy.url() + "," + c.upstream,
		// No checksum database knows these modules.
		"GONOSUMDB=" + strings.TrimPrefix(strings.Join(unsummed, ","), ","),
		// GOPRIVATE, if it matches these modules, would pass the proxy by.
		"GONOPROXY=none",
		// Tests of the contracts run the pinned buf.
		"PATH=" + filepath.Join(c.workspace.Root, ".cache", "bin") + string(os.PathListSeparator) + os.Getenv("PATH"),
	}
	return nil
}

// check exports, builds, vets and tests one module. The error says which step failed; the step's output is in out.
func (c *checker) check(ctx context.Context, m workspace.Module) error {
	fmt.Fprintf(c.out, "== %s\n", m.Name)
	// Each module has a parent folder of its own, so that ../platform does not exist.
	dir := filepath.Join(c.dir, "export", m.Name, m.Name)
	if err := c.exporter.export(ctx, c.tree, m.Name, dir); err != nil {
		return err
	}
	var required []string
	edit, download := []string{"mod", "edit"}, []string{"mod", "download"}
	for _, r := range m.Requires {
		s, err := c.serve(ctx, m, r)
		if err != nil {
			return err
		}
		fmt.Fprintf(c.out, "   %s %s: %s\n", r.Name, r.Version, s.source)
		required = append(required, r.Name+" "+r.Version)
		edit = append(edit, "-dropreplace="+r.Path, "-require="+s.String())
		download = append(download, s.String()) // named, so that go.sum gets its checksum
	}
	steps := [][]string{{"build", "./..."}, {"vet", "./..."}, {"test", "./..."}}
	if len(required) > 0 {
		steps = slices.Insert(steps, 0, edit, download)
	}
	for _, step := range steps {
		err := c.runGo(ctx, dir, step)
		switch {
		case err == nil:
		case ctx.Err() != nil:
			return err
		case len(required) == 0:
			return fmt.Errorf("%s alone: %w", m.Name, err)
		default:
			return fmt.Errorf("%s alone, with %s: %w (a symbol that they lack needs a later version in %s/go.mod)",
				m.Name, strings.Join(required, " and "), err, m.Name)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "Dockerfile")); c.docker == "" || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := c.buildImage(ctx, dir); err != nil {
		return fmt.Errorf("%s alone: %w", m.Name, err)
	}
	return nil
}

// buildImage builds the image of the module in dir. Its commands read the proxy by HTTP: they see no files of this host.
func (c *checker) buildImage(ctx context.Context, dir string) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: http.FileServer(http.Dir(c.proxy.dir)), ReadHeaderTimeout: readHeaderTimeout}
	go func() { _ = server.Serve(listener) }() // its error is that of Close
	defer server.Close()
	goproxy := "http://" + listener.Addr().String() + "," + c.upstream
	return c.runCommand(ctx, "make image", dir, "make", []string{
		"image", "DOCKER=" + c.docker, "TAG=polyrepo", "DOCKER_BUILD=--network=host --build-arg=GOPROXY=" + goproxy,
	})
}

// serve publishes the version that module m requires.
func (c *checker) serve(ctx context.Context, m workspace.Module, r workspace.Requirement) (served, error) {
	if s, ok := c.served[r]; ok {
		return s, nil
	}
	if !slices.Contains(libraries, r.Name) {
		return served{}, fmt.Errorf("%s requires %s: a module may require %s only", m.Name, r.Name, strings.Join(libraries, " and "))
	}
	tree, source, err := c.findSource(ctx, m, r)
	if err != nil {
		return served{}, err
	}
	content, err := c.workspace.Git(ctx, nil, "rev-parse", "--verify", tree+":"+r.Name)
	if err != nil {
		return served{}, err
	}
	// The version names its content: the module cache, which never reads a version twice, must not return the content of
	// another run.
	version := r.Version + "-tree" + content[:12]
	if semver.Prerelease(r.Version) != "" {
		version = r.Version + ".tree" + content[:12]
	}
	s := served{module.Version{Path: r.Path, Version: version}, source}
	dir := filepath.Join(c.dir, "served", r.Name, version)
	if err := c.exporter.export(ctx, tree, r.Name, dir); err != nil {
		return served{}, err
	}
	if err := c.proxy.publish(s.Version, dir); err != nil {
		return served{}, err
	}
	c.served[r] = s
	return s, nil
}

// findSource returns the git tree that has the required version, and its name for a reader.
func (c *checker) findSource(ctx context.Context, m workspace.Module, r workspace.Requirement) (tree, source string, err error) {
	released, err := c.workspace.Released(ctx, r.Name)
	if err != nil {
		return "", "", err
	}
	if slices.Contains(released, r.Version) {
		tag := workspace.Tag(r.Name, r.Version)
		return "refs/tags/" + tag, "tag " + tag, nil
	}
	if len(released) > 0 {
		if last := released[len(released)-1]; semver.Compare(r.Version, last) < 0 {
			return "", "", fmt.Errorf("%s requires %s %s, which was not released; require in %s/go.mod %s, which is the latest, "+
				"or the version that will be released next", m.Name, r.Name, r.Version, m.Name, last)
		}
	}
	return c.tree, "not released yet, the working tree", nil
}

// runGo runs a go command in dir.
func (c *checker) runGo(ctx context.Context, dir string, args []string) error {
	return c.runCommand(ctx, "go "+strings.Join(args[:2], " "), dir, "go", args)
}

// runCommand runs a program in dir and prints its duration, and after a failure its output. name is for a reader.
func (c *checker) runCommand(ctx context.Context, name, dir, path string, args []string) error {
	start := time.Now()
	var output bytes.Buffer
	p, err := c.launcher.Start(proc.Command{
		Path: path, Args: args, Dir: dir, Env: append(os.Environ(), c.environ...), Stdout: &output, Stderr: &output,
	})
	if err != nil {
		return err
	}
	if err := p.Wait(ctx, stopTimeout); err != nil {
		return err
	}
	if p.ExitCode() != 0 {
		fmt.Fprintf(c.out, "%s\n", strings.TrimSpace(output.String()))
		return fmt.Errorf("%s: %s", name, p.Status())
	}
	if !strings.HasPrefix(name, "go mod") {
		fmt.Fprintf(c.out, "   %s: %.1fs\n", name, time.Since(start).Seconds())
	}
	return nil
}
