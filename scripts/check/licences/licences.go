package licences

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/google/licensecheck"
)

// minCoverage is the part of a file, in percent, that must be the text of known licences. pkg.go.dev has the same limit.
const minCoverage = 75

var licenceFile = regexp.MustCompile(`(?i)^(un)?(licen[cs]e|copying)([._-].*)?$`)

// Allowed is the list of the licences that may be linked: an SPDX identifier, or one with a space and the path of the
// only module that may have it.
type Allowed []string

// ReadAllowed reads a list with one entry in each line. Empty lines and lines with # are skipped.
func ReadAllowed(name string) (Allowed, error) {
	content, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var allowed Allowed
	for line := range strings.Lines(string(content)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			allowed = append(allowed, line)
		}
	}
	return allowed, nil
}

// Check returns the licences that hold for the folder dir of a module in root: those of the files in the folder and in each folder
// above it, up to the module's root. It returns an error if there is no such file, if a file is not the text of known
// licences, or if a licence is not allowed.
func (a Allowed) Check(module, dir, root string) (licences []string, err error) {
	for ; ; dir = filepath.Dir(dir) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return nil, err
		}
		for _, entry := range entries {
			if entry.IsDir() || !licenceFile.MatchString(entry.Name()) || strings.HasSuffix(entry.Name(), ".go") {
				continue
			}
			found, err := a.checkFile(module, filepath.Join(dir, entry.Name()))
			if err != nil {
				return nil, err
			}
			licences = append(licences, found...)
		}
		if dir == root || dir == filepath.Dir(dir) {
			break
		}
	}
	if len(licences) == 0 {
		return nil, fmt.Errorf("%s: no file with a licence", root)
	}
	slices.Sort(licences)
	return slices.Compact(licences), nil
}

// checkFile returns the licences whose text a file has.
func (a Allowed) checkFile(module, name string) ([]string, error) {
	content, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	coverage := licensecheck.Scan(content)
	if coverage.Percent < minCoverage {
		return nil, fmt.Errorf("%s: %.0f%% of it is the text of known licences, and %d%% must be", name, coverage.Percent, minCoverage)
	}
	var licences []string
	for _, match := range coverage.Match {
		if !slices.Contains(a, match.ID) && !slices.Contains(a, match.ID+" "+module) {
			return nil, fmt.Errorf("%s: the licence %s is not in allowed.txt for this module", name, match.ID)
		}
		licences = append(licences, match.ID)
	}
	return licences, nil
}
