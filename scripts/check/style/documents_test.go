package style

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	link      = regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)
	metric    = regexp.MustCompile("`((?:todo|kafka|redis|postgres|notification|stats|cache|server|http|grpc)_[a-z_]+)(?:\\{[^`]*)?`")
	quotation = regexp.MustCompile(`"([a-z][^"]{12,})"`)
)

// Links must lead to a file; metrics and quoted log lines must be in the code.
func TestDocumentsNameWhatExists(t *testing.T) {
	t.Parallel()
	var code strings.Builder
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") {
			source, err := os.ReadFile(path)
			code.Write(source)
			return err
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ARCHITECTURE.md", "DEBUGGING.md", "README.md", "SECURITY.md", "compose/prometheus/RUNBOOK.md", "scripts/README.md"} {
		content, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range link.FindAllStringSubmatch(string(content), -1) {
			if _, err := os.Stat(filepath.Join(root, filepath.Dir(name), found[1])); err != nil {
				t.Errorf("%s: a link leads to %s, which does not exist", name, found[1])
			}
		}
		if name != "DEBUGGING.md" && name != "compose/prometheus/RUNBOOK.md" {
			continue
		}
		for _, pattern := range []*regexp.Regexp{metric, quotation} {
			for _, found := range pattern.FindAllStringSubmatch(string(content), -1) {
				if !strings.Contains(code.String(), strings.Join(strings.Fields(found[1]), " ")) {
					t.Errorf("%s: %q is not in the code", name, found[1])
				}
			}
		}
	}
}
