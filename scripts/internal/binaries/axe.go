package binaries

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"os"
)

// axeScript is the member of the package that a page runs.
const axeScript = "package/axe.min.js"

// Axe downloads axe-core, which finds violations of accessibility rules in a page, and returns its script.
func (f Finder) Axe(ctx context.Context) (script string, err error) {
	pins, err := artifactsOf("axe")
	if err != nil {
		return "", err
	}
	packages, err := f.Cache.ensure(ctx, "axe-core", pins)
	if err != nil {
		return "", err
	}
	return readScript(packages[0])
}

func readScript(pack string) (string, error) {
	file, err := os.Open(pack)
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }()
	plain, err := gzip.NewReader(file)
	if err != nil {
		return "", fmt.Errorf("%s: %w", file.Name(), err)
	}
	for archive := tar.NewReader(plain); ; {
		header, err := archive.Next()
		if err != nil {
			return "", fmt.Errorf("%s holds no %s: %w", file.Name(), axeScript, err)
		}
		if header.Name == axeScript {
			content, err := io.ReadAll(archive)
			return string(content), err
		}
	}
}
