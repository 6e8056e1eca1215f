// Package fetch brings programs that the machine lacks into a cache folder, once, and takes nothing
// whose checksum is not the pinned one.
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
var artifacts string

// Pin names an artifact and says what it must be.
type Pin struct {
	Program  string // postgres, redis, kafka
	Platform string // GOOS/GOARCH, or "any"
	Package  *purl.PURL
	Size     int64
	SHA256   string // hexadecimal
}

// Pins returns the artifacts that a program needs on this platform; an error says that there are none.
func Pins(program string) ([]Pin, error) {
	all, err := parsePins(artifacts)
	if err != nil {
		return nil, err
	}
	platform := runtime.GOOS + "/" + runtime.GOARCH
	var pins []Pin
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

func parsePins(text string) ([]Pin, error) {
	var pins []Pin
	for number, line := range strings.Split(text, "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		pin, err := parsePin(line)
		if err != nil {
			return nil, fmt.Errorf("artifacts.txt line %d: %w", number+1, err)
		}
		pins = append(pins, pin)
	}
	return pins, nil
}

func parsePin(line string) (Pin, error) {
	f := strings.Fields(line)
	if len(f) != 5 {
		return Pin{}, fmt.Errorf("has %d fields, not 5", len(f))
	}
	p, err := purl.Parse(f[2])
	if err != nil {
		return Pin{}, err
	}
	size, err := strconv.ParseInt(f[3], 10, 64)
	if err != nil {
		return Pin{}, err
	}
	return Pin{Program: f[0], Platform: f[1], Package: p, Size: size, SHA256: f[4]}, nil
}

// File is the name of the artifact's file.
func (p Pin) File() string {
	return p.Package.Name + "-" + p.Package.Version + "." + p.Package.Qualifiers.Map()["type"]
}

// path is where a Maven repository keeps the artifact.
func (p Pin) path() string {
	group := strings.ReplaceAll(p.Package.Namespace, ".", "/")
	return path.Join(group, p.Package.Name, p.Package.Version, p.File())
}

// Repository returns the address of the package registry's default repository.
func Repository() string { return purl.DefaultRegistry("maven") }
