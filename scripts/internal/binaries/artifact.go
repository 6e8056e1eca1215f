package binaries

import (
	_ "embed"
	"fmt"
	"path"
	"runtime"
	"strconv"
	"strings"

	"github.com/git-pkgs/purl"
)

//go:embed artifacts.txt
var artifactList string

// artifact is a pinned download: its coordinates, size and checksum.
type artifact struct {
	Program  string // postgres, redis, kafka
	Platform string // GOOS/GOARCH, or "any"
	Package  *purl.PURL
	Size     int64
	SHA256   string // hexadecimal
}

// artifactsOf returns the artifacts of a program for this platform. If there are none, it returns an error.
func artifactsOf(program string) ([]artifact, error) {
	all, err := parseArtifacts(artifactList)
	if err != nil {
		return nil, err
	}
	platform := runtime.GOOS + "/" + runtime.GOARCH
	var pins []artifact
	for _, p := range all {
		if p.Program == program && (p.Platform == "any" || p.Platform == platform) {
			pins = append(pins, p)
		}
	}
	if len(pins) == 0 {
		return nil, fmt.Errorf("no %s to fetch for %s: install it and put it on PATH", program, platform)
	}
	return pins, nil
}

func parseArtifacts(text string) ([]artifact, error) {
	var pins []artifact
	for number, line := range strings.Split(text, "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		pin, err := parseArtifact(line)
		if err != nil {
			return nil, fmt.Errorf("artifacts.txt line %d: %w", number+1, err)
		}
		pins = append(pins, pin)
	}
	return pins, nil
}

func parseArtifact(line string) (artifact, error) {
	f := strings.Fields(line)
	if len(f) != 5 {
		return artifact{}, fmt.Errorf("has %d fields, not 5", len(f))
	}
	p, err := purl.Parse(f[2])
	if err != nil {
		return artifact{}, err
	}
	size, err := strconv.ParseInt(f[3], 10, 64)
	if err != nil {
		return artifact{}, err
	}
	return artifact{Program: f[0], Platform: f[1], Package: p, Size: size, SHA256: f[4]}, nil
}

// fileName returns the name of the artifact's file.
func (p artifact) fileName() string {
	return p.Package.Name + "-" + p.Package.Version + "." + p.Package.Qualifiers.Map()["type"]
}

// artifactPath is where a Maven repository keeps the artifact.
func (p artifact) repositoryPath() string {
	group := strings.ReplaceAll(p.Package.Namespace, ".", "/")
	return path.Join(group, p.Package.Name, p.Package.Version, p.fileName())
}

// DefaultRepository returns the address of the default Maven repository.
func DefaultRepository() string { return purl.DefaultRegistry("maven") }
