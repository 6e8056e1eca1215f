package sbom

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const root = "../../.."

type document struct {
	BOMFormat  string `json:"bomFormat"`
	Components []struct {
		Name    string `json:"name"`
		Version string `json:"version"`
		PURL    string `json:"purl"`
		Hashes  []any  `json:"hashes"`
	} `json:"components"`
}

func TestEveryProgramOfAnImageHasADocument(t *testing.T) {
	t.Parallel()
	var want []string
	for _, dockerfile := range glob(t, filepath.Join(root, "*-service/Dockerfile")) {
		content, err := os.ReadFile(dockerfile)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range regexp.MustCompile(`\./cmd/([a-z-]+)`).FindAllSubmatch(content, -1) {
			want = append(want, string(found[1])+".cdx.json")
		}
	}
	slices.Sort(want)
	out := t.TempDir()
	write(t, out)
	var got []string
	for _, name := range glob(t, filepath.Join(out, "*")) {
		got = append(got, filepath.Base(name))
	}
	if diff := cmp.Diff(want, got); diff != "" || len(got) == 0 {
		t.Errorf("the documents (-want +got):\n%s", diff)
	}
}

func TestDocumentNamesTheLinkedModules(t *testing.T) {
	t.Parallel()
	out := t.TempDir()
	write(t, out, "stats-service/stats-service")
	var bom document
	if err := json.Unmarshal(read(t, out), &bom); err != nil {
		t.Fatal(err)
	}
	if bom.BOMFormat != "CycloneDX" {
		t.Errorf("the format is %q, want CycloneDX", bom.BOMFormat)
	}
	const own = "example.com/todo/"
	var got []string
	for _, c := range bom.Components {
		got = append(got, c.Name)
		if c.Version == "" || !strings.HasPrefix(c.PURL, "pkg:golang/"+c.Name+"@"+c.Version) {
			t.Errorf("%s has the version %q and the package URL %q", c.Name, c.Version, c.PURL)
		}
		if len(c.Hashes) == 0 && c.Name != "std" {
			t.Errorf("%s has no hash", c.Name)
		}
	}
	slices.Sort(got)

	// The modules of the packages of the program; testing tools, for instance, are required but not linked.
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{else}}std{{end}}", "./cmd/stats-service")
	cmd.Dir = filepath.Join(root, "stats-service")
	cmd.Env = append(os.Environ(), "GOWORK=off", "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	list, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Fields(string(list))
	slices.Sort(want)
	want = slices.DeleteFunc(slices.Compact(want), func(module string) bool { return module == own+"stats-service" })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the components (-want +got):\n%s", diff)
	}
}

func TestDocumentIsTheSameInEveryRun(t *testing.T) {
	t.Parallel()
	first, second := t.TempDir(), t.TempDir()
	write(t, first, "stats-service/stats-service")
	write(t, second, "stats-service/stats-service")
	if a, b := read(t, first), read(t, second); !bytes.Equal(a, b) {
		t.Errorf("two runs differ:\n%s", cmp.Diff(string(a), string(b)))
	}
}

// write runs scripts/sbom.
func write(t *testing.T, out string, programs ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(root, "scripts/sbom"), append([]string{out}, programs...)...)
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
}

func read(t *testing.T, out string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(out, "stats-service.cdx.json"))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// The test needs the pinned cyclonedx-gomod.
func TestMain(m *testing.M) {
	if out, err := exec.Command("make", "--no-print-directory", "-C", "../../../contracts", "cyclonedx-gomod").CombinedOutput(); err != nil {
		panic(string(out))
	}
	m.Run()
}
