package main

import (
	"context"
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

// mirror is where Debian's packages come from.
type mirror struct{ packages, security string }

// findMirror returns the mirrors that this machine's apt uses for Debian, or else Debian's own.
func findMirror(ctx context.Context) mirror {
	m := mirror{packages: "http://deb.debian.org/debian", security: "http://deb.debian.org/debian-security"}
	targets, err := output(ctx, exec.CommandContext(ctx, "apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"))
	if err != nil {
		return m // this machine has another package manager
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

// sourcesList returns the content of apt's sources.list.
func (m mirror) sourcesList() string {
	return fmt.Sprintf("deb %s bookworm main\ndeb %s bookworm-updates main\ndeb %s bookworm-security main\n",
		m.packages, m.packages, m.security)
}

// baseSources returns what the image of Debian is built from. The first call on a machine takes a minute.
func baseSources(ctx context.Context, m *machine) ([]source, error) {
	authorities, err := os.ReadFile(m.authorities)
	if err != nil {
		return nil, fmt.Errorf("read the certificate authorities of this machine, which Debian's package ca-certificates installs: %w", err)
	}
	mirror := findMirror(ctx)
	archive := filepath.Join(m.finder.Cache.Dir, "debian", "bookworm-minbase-"+runtime.GOARCH+".tar")
	if _, err := os.Stat(archive); err != nil {
		m.finder.Cache.Console.Progress("installing Debian into %s, once", archive)
		if err := debootstrap(ctx, mirror, archive); err != nil {
			return nil, err
		}
	}
	return []source{
		{name: "debian.tar", path: archive, version: filepath.Base(archive)},
		{name: "ca-certificates.crt", content: string(authorities)},
		{name: "sources.list", content: mirror.sourcesList()},
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
	install := exec.CommandContext(ctx, "unshare", "--mount", "--propagation", "private",
		"debootstrap", "--variant=minbase", "bookworm", root, m.packages)
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
