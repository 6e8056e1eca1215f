package vulnerabilities

import (
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// vulnerable calls the function for which the database of a test has a report.
const vulnerable = "package main\n\nimport \"os/user\"\n\nfunc main() { _, _ = user.Current() }\n"

// report says that every version of Go has a vulnerability in os/user.Current.
const report = `{"schema_version": "1.3.1", "id": "GO-2000-0001", "modified": "2000-01-01T00:00:00Z", "published": "2000-01-01T00:00:00Z",
"summary": "A report of a test", "details": "A report of a test.", "database_specific": {"url": "https://example.org"}, "affected": [{"package": {"name": "stdlib", "ecosystem": "Go"},
"ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}]}],
"ecosystem_specific": {"imports": [{"path": "os/user", "symbols": ["Current"]}]}}]}`

func TestScanFailsWhenAProgramCallsAVulnerableFunction(t *testing.T) {
	t.Parallel()
	database := newDatabase(t, `[{"path": "stdlib", "vulns": [{"id": "GO-2000-0001", "modified": "2000-01-01T00:00:00Z"}]}]`)
	status, output := scan(t, "file://"+database)
	if status != 1 || !strings.Contains(output, "main.go:5:34: program.main calls user.Current") {
		t.Errorf("the scan ended with %d, want 1 and the call:\n%s", status, output)
	}
}

func TestScanPassesWhenNoReportFits(t *testing.T) {
	t.Parallel()
	status, output := scan(t, "file://"+newDatabase(t, `[]`))
	if status != 0 || strings.Contains(output, "NOT CHECKED") {
		t.Errorf("the scan ended with %d, want 0:\n%s", status, output)
	}
}

func TestScanSaysThatNothingWasCheckedWithoutADatabase(t *testing.T) {
	t.Parallel()
	refusing := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(refusing.Close)
	failing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/index/db.json") {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	t.Cleanup(failing.Close)
	closed := httptest.NewServer(nil)
	closed.Close()
	for name, database := range map[string]string{
		"the server refuses":               refusing.URL,
		"the server fails after the start": failing.URL,
		"there is no server":               closed.URL,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status, output := scan(t, database)
			if want := "NOT CHECKED: known vulnerabilities, because " + database; status != 2 || !strings.Contains(output, want) {
				t.Errorf("the scan ended with %d, want 2 and %q:\n%s", status, want, output)
			}
		})
	}
}

func TestScanFailsWhenAProgramDoesNotCompile(t *testing.T) {
	t.Parallel()
	status, output := run(t, "file://"+newDatabase(t, `[]`), "package main\n\nfunc main() { missing() }\n")
	if status != 1 || strings.Contains(output, "NOT CHECKED") {
		t.Errorf("the scan ended with %d, want 1:\n%s", status, output)
	}
}

func TestScanEndsWhenTheDatabaseIsSilent(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	t.Setenv("GOVULNCHECK_LIMIT", "1s")
	database := "http://" + listener.Addr().String()
	status, output := scan(t, database)
	if want := "NOT CHECKED: known vulnerabilities, because " + database; status != 2 || !strings.Contains(output, want) {
		t.Errorf("the scan ended with %d, want 2 and %q:\n%s", status, want, output)
	}
}

// macOS has no timeout.
func TestScanWorksWithoutTimeout(t *testing.T) {
	database := "file://" + newDatabase(t, `[{"path": "stdlib", "vulns": [{"id": "GO-2000-0001", "modified": "2000-01-01T00:00:00Z"}]}]`)
	programs := t.TempDir()
	for _, name := range []string{"bash", "basename", "cat", "dirname", "go", "grep", "mktemp", "rm"} {
		path, err := exec.LookPath(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(path, filepath.Join(programs, name)); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", programs)
	status, output := scan(t, database)
	if status != 1 || !strings.Contains(output, "program.main calls user.Current") {
		t.Errorf("the scan ended with %d, want 1 and the call:\n%s", status, output)
	}
}

// newDatabase writes a database of vulnerabilities with report and the given index of modules.
func newDatabase(t *testing.T, modules string) string {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "index/db.json"), `{"modified": "2000-01-01T00:00:00Z"}`)
	write(t, filepath.Join(dir, "index/modules.json"), modules)
	write(t, filepath.Join(dir, "ID/GO-2000-0001.json"), report)
	return dir
}

// scan scans a module whose program calls the vulnerable function.
func scan(t *testing.T, database string) (status int, output string) {
	t.Helper()
	return run(t, database, vulnerable)
}

// run scans a module with one program, and returns the exit status and all output.
func run(t *testing.T, database, program string) (status int, output string) {
	t.Helper()
	module := t.TempDir()
	write(t, filepath.Join(module, "go.mod"), "module example.org/acme\n\ngo 1.26.0\n")
	write(t, filepath.Join(module, "cmd/program/main.go"), program)
	cmd := exec.CommandContext(t.Context(), "./scan", module)
	cmd.Env = append(os.Environ(), "GOVULNDB="+database)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

func write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// The test needs the pinned govulncheck.
func TestMain(m *testing.M) {
	if out, err := exec.Command("make", "--no-print-directory", "-C", "../../../contracts", "govulncheck").CombinedOutput(); err != nil {
		panic(string(out))
	}
	m.Run()
}
