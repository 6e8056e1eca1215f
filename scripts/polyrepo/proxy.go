package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/mod/module"
	"golang.org/x/mod/zip"
)

// proxy is a folder that the go command reads as a module proxy, by a file URL (go.dev/ref/mod#goproxy-protocol).
type proxy struct {
	dir string
}

func (p proxy) url() string { return "file://" + filepath.ToSlash(p.dir) }

// publish makes the module in folder dir available as version m.
func (p proxy) publish(m module.Version, dir string) (err error) {
	path, err := module.EscapePath(m.Path)
	if err != nil {
		return err
	}
	version, err := module.EscapeVersion(m.Version)
	if err != nil {
		return err
	}
	versions := filepath.Join(p.dir, filepath.FromSlash(path), "@v")
	if err := os.MkdirAll(versions, 0o755); err != nil {
		return err
	}
	info, err := json.Marshal(struct{ Version string }{m.Version})
	if err != nil {
		return err
	}
	mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return err
	}
	base := filepath.Join(versions, version)
	for name, content := range map[string][]byte{base + ".info": info, base + ".mod": mod} {
		if err := os.WriteFile(name, content, 0o644); err != nil {
			return err
		}
	}
	archive, err := os.Create(base + ".zip")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, archive.Close()) }()
	return zip.CreateFromDir(archive, m, dir)
}
