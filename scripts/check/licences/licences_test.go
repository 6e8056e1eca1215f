package licences

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/todo/scripts/internal/golist"
	"example.com/todo/scripts/internal/workspace"
)

const root = "../../.."

// linked is a package that go build links into a program.
type linked struct {
	Dir      string
	Standard bool
	Module   struct {
		Path, Version, Dir string
	}
}

func TestEveryLicenceOfWhatIsLinkedIsAllowed(t *testing.T) {
	t.Parallel()
	allowed, err := ReadAllowed("allowed.txt")
	if err != nil {
		t.Fatal(err)
	}
	w, err := workspace.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	var own []string
	for _, m := range w.Modules {
		own = append(own, m.Path)
	}
	for _, m := range w.Modules {
		if !strings.HasSuffix(m.Name, "-service") {
			continue
		}
		t.Run(m.Name, func(t *testing.T) {
			t.Parallel()
			found, reported := map[string][]string{}, map[string]bool{}
			for _, p := range list(t, m.Name) {
				if p.Standard || slices.Contains(own, p.Module.Path) {
					continue
				}
				licences, err := allowed.Check(p.Module.Path, p.Dir, p.Module.Dir)
				if err != nil && !reported[err.Error()] {
					t.Errorf("%s@%s: %v", p.Module.Path, p.Module.Version, err)
					reported[err.Error()] = true
				}
				found[p.Module.Path] = append(found[p.Module.Path], licences...)
			}
			if len(found) == 0 {
				t.Error("no module was checked")
			}
			for _, module := range slices.Sorted(maps.Keys(found)) {
				t.Logf("%s: %s", module, strings.Join(slices.Compact(slices.Sorted(slices.Values(found[module]))), ", "))
			}
		})
	}
}

// list returns the packages of a service's programs as they are built for the images.
func list(t *testing.T, service string) []linked {
	t.Helper()
	packages, err := golist.Packages[linked](t.Context(), filepath.Join(root, service), []string{"CGO_ENABLED=0", "GOOS=linux"},
		"-deps", "-json=Dir,Standard,Module", "./cmd/...")
	if err != nil {
		t.Fatal(err)
	}
	return packages
}

func TestCheckReadsTheLicencesOfAFolder(t *testing.T) {
	t.Parallel()
	mit, err := os.ReadFile(filepath.Join(root, "LICENSE"))
	if err != nil {
		t.Fatal(err)
	}
	const isc = "Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby " +
		"granted, provided that the above copyright notice and this permission notice appear in all copies.\n\n" +
		"THE SOFTWARE IS PROVIDED \"AS IS\" AND THE AUTHOR DISCLAIMS ALL WARRANTIES WITH REGARD TO THIS SOFTWARE INCLUDING ALL " +
		"IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS. IN NO EVENT SHALL THE AUTHOR BE LIABLE FOR ANY SPECIAL, DIRECT, " +
		"INDIRECT, OR CONSEQUENTIAL DAMAGES OR ANY DAMAGES WHATSOEVER RESULTING FROM LOSS OF USE, DATA OR PROFITS, WHETHER IN " +
		"AN ACTION OF CONTRACT, NEGLIGENCE OR OTHER TORTIOUS ACTION, ARISING OUT OF OR IN CONNECTION WITH THE USE OR " +
		"PERFORMANCE OF THIS SOFTWARE.\n"
	for name, tt := range map[string]struct {
		files map[string]string
		allow Allowed
		want  []string
		err   string
	}{
		"of the root":          {map[string]string{"LICENSE": string(mit)}, Allowed{"MIT"}, []string{"MIT"}, ""},
		"of a folder, too":     {map[string]string{"COPYING": string(mit), "a/b/LICENCE_list": isc}, Allowed{"ISC", "MIT"}, []string{"ISC", "MIT"}, ""},
		"of a sibling not":     {map[string]string{"LICENSE.md": string(mit), "a/other/LICENSE": isc}, Allowed{"MIT"}, []string{"MIT"}, ""},
		"of this module":       {map[string]string{"LICENSE": string(mit)}, Allowed{"MIT example.org/acme/a"}, []string{"MIT"}, ""},
		"of another module":    {map[string]string{"LICENSE": string(mit)}, Allowed{"MIT example.org/acme/ab"}, nil, "the licence MIT is not in allowed.txt"},
		"not on the list":      {map[string]string{"LICENSE": string(mit)}, Allowed{"ISC"}, nil, "the licence MIT is not in allowed.txt"},
		"of a folder, no list": {map[string]string{"LICENSE": string(mit), "a/LICENSE": isc}, Allowed{"MIT"}, nil, "the licence ISC is not in allowed.txt"},
		"one of two":           {map[string]string{"LICENSE": string(mit) + isc}, Allowed{"MIT"}, nil, "the licence ISC is not in allowed.txt"},
		"missing":              {map[string]string{"README.md": string(mit), "license.go": "package a"}, Allowed{"MIT"}, nil, "no file with a licence"},
		"unknown":              {map[string]string{"LICENSE": "All rights reserved. Ask the author before you link this."}, Allowed{"MIT"}, nil, "0% of it"},
		"with more conditions": {map[string]string{"LICENSE": string(mit) + strings.Repeat("It must not be used by competitors. ", 40)}, Allowed{"MIT"}, nil, "of it is the text of known licences"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			module := t.TempDir()
			dir := filepath.Join(module, "a", "b")
			if err := os.MkdirAll(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			for name, content := range tt.files {
				name = filepath.Join(module, name)
				if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			got, err := tt.allow.Check("example.org/acme/a", dir, module)
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("the error is %v, want %q", err, tt.err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("the licences (-want +got):\n%s", diff)
			}
		})
	}
}
