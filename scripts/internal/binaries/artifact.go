package binaries

import (
	_ "embed"
	"fmt"
	"path"
	"runtime"
	"strings"

	"github.com/git-pkgs/purl"
)

//go:embed artifacts.txt
var artifactList string

// artifact is a pinned download: its coordinates, size and checksum.
type artifact struct {
	Program  string // postgres, redis, kafka, axe
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
		var p artifact
		var packageURL string
		_, err := fmt.Sscan(line, &p.Program, &p.Platform, &packageURL, &p.Size, &p.SHA256)
		if err == nil {
			p.Package, err = purl.Parse(packageURL)
		}
		if err != nil {
			return nil, fmt.Errorf("artifacts.txt line %d: %w", number+1, err)
		}
		pins = append(pins, p)
	}
	return pins, nil
}

// fileName returns the name of the artifact's file.
func (p artifact) fileName() string {
	return p.Package.Name + "-" + p.Package.Version + "." + p.Package.Qualifiers.Map()["type"]
}

// repositoryPath is where a repository of the package's type keeps the artifact.
func (p artifact) repositoryPath() string {
	if p.Package.Type == "npm" {
		return path.Join(p.Package.Namespace, p.Package.Name, "-", p.fileName())
	}
	group := strings.ReplaceAll(p.Package.Namespace, ".", "/")
	return path.Join(group, p.Package.Name, p.Package.Version, p.fileName())
}
