package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"strings"
)

// caBundle is where Debian and its relatives keep the certificate authorities.
const caBundle = "/etc/ssl/certs/ca-certificates.crt"

// mirror is where Debian's packages come from. "" is the default of debootstrap.
type mirror struct{ packages, security string }

// findMirror returns the mirrors that this machine's apt uses for Debian.
func findMirror(ctx context.Context) (m mirror) {
	targets, err := output(ctx, exec.CommandContext(ctx, "apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Origin: Debian"))
	if err != nil {
		return mirror{} // this machine has another package manager
	}
	for uri := range strings.Lines(targets) {
		uri = strings.TrimRight(strings.TrimSpace(uri), "/")
		switch path.Base(uri) {
		case "debian":
			m.packages = uri
		case "debian-security":
			m.security = uri
		}
	}
	return m
}

// updates returns apt's list of the sources with updates. debootstrap lists the release itself.
func (m mirror) updates() string {
	var list string
	if m.packages != "" {
		list += fmt.Sprintf("deb %s bookworm-updates main\n", m.packages)
	}
	if m.security != "" {
		list += fmt.Sprintf("deb %s bookworm-security main\n", m.security)
	}
	return list
}

// archive returns the path in the cache of a Debian that was installed from this mirror, which its settings name.
func (m mirror) archive(cache string) string {
	sum := sha256.Sum256([]byte(m.packages))
	return filepath.Join(cache, "debian", fmt.Sprintf("bookworm-minbase-%s-%x.tar", runtime.GOARCH, sum[:4]))
}

// baseSources returns what the image of Debian is built from. The first call on a machine takes a minute.
func baseSources(ctx context.Context, m *machine) ([]source, error) {
	authorities, err := os.ReadFile(m.authorities)
	if err != nil {
		return nil, fmt.Errorf("read the certificate authorities of this machine, which Debian's package ca-certificates installs: %w", err)
	}
	mirror := findMirror(ctx)
	archive := mirror.archive(m.finder.Cache.Dir)
	if _, err := os.Stat(archive); err != nil {
		m.finder.Cache.Console.Progress("installing Debian into %s, once", archive)
		if err := debootstrap(ctx, mirror, archive); err != nil {
			return nil, err
		}
	}
	return []source{
		{name: "debian.tar", path: archive, version: filepath.Base(archive)},
		{name: "ca-certificates.crt", content: string(authorities)},
		{name: "updates.list", content: mirror.updates()},
	}, nil
}

// debootstrap installs a minimal Debian and writes it to a tar archive.
func debootstrap(ctx context.Context, m mirror, archive string) error {
	if _, err := exec.LookPath("debootstrap"); err != nil {
		return fmt.Errorf("stand-ins are made with debootstrap, which is not installed; apt-get install debootstrap: %w", err)
	}
	if os.Getuid() != 0 {
		return errors.New("stand-ins are made with debootstrap, which only root may run; run this as root, or where a registry can be reached")
	}
	if err := os.MkdirAll(filepath.Dir(archive), 0o755); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(filepath.Dir(archive), "part-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // a rest uses space only
	root, unfinished := filepath.Join(dir, "root"), filepath.Join(dir, "debian.tar")
	// What debootstrap mounts below root ends with its own mount namespace, even if it is killed.
	args := []string{"--mount", "--propagation", "private", "debootstrap", "--variant=minbase", "bookworm", root}
	if m.packages != "" {
		args = append(args, m.packages)
	}
	install := exec.CommandContext(ctx, "unshare", args...)
	if _, err := output(ctx, install); err != nil {
		return err
	}
	pack := exec.CommandContext(ctx, "tar", "-C", root, "--numeric-owner", "-cf", unfinished,
		"--exclude=./var/cache/apt/archives/*.deb", "--exclude=./var/lib/apt/lists/*", ".")
	if _, err := output(ctx, pack); err != nil {
		return err
	}
	return os.Rename(unfinished, archive)
}
