package secrets

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The planted keys are written in two parts, so that a scan of this repository does not find them.
const (
	plantedKey     = "AKIA" + "Z7VRK2MQX4PLTW6N"
	webhookExample = "whsec_MfKQ9r8GKYqr" + "TwjUPD8ILPZIo2LaLaSw"
)

func TestScanFindsASecret(t *testing.T) {
	t.Parallel()
	line := "key = \"" + plantedKey + "\"\n"
	for name, tt := range map[string]struct {
		plant func(r repository)
		want  string
	}{
		"in a commit":                    {func(r repository) { r.write("app.conf", line); r.commit() }, "app.conf"},
		"in a commit that a later undid": {func(r repository) { r.write("app.conf", line); r.commit(); r.remove("app.conf"); r.commit() }, "Commit:"},
		"on another branch": {func(r repository) {
			r.git("switch", "--quiet", "--create", "other")
			r.write("app.conf", line)
			r.commit()
			r.git("switch", "--quiet", "main")
		}, "Commit:"},
		"in a file that is not committed":      {func(r repository) { r.write("new/app.conf", line) }, "new/app.conf"},
		"in a merge alone":                     {func(r repository) { r.mergeWith("app.conf", line) }, "app.conf"},
		"beside a comment that allows it":      {func(r repository) { r.write("app.conf", strings.TrimSpace(line)+" # gitleaks:allow\n"); r.commit() }, "app.conf"},
		"that is an exception of another file": {func(r repository) { r.write("main.go", "secret = \""+webhookExample+"\"\n"); r.commit() }, "main.go"},
		"that is longer than an exception of its folder": {func(r repository) {
			r.write("notification-service/internal/app/a_test.go", "secret = \""+webhookExample+"x9\"\n")
		}, "a_test.go"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRepository(t)
			tt.plant(r)
			status, output := r.scan()
			if status != 1 || !strings.Contains(output, tt.want) {
				t.Errorf("the scan ended with %d, want 1 and %q:\n%s", status, tt.want, output)
			}
			if strings.Contains(output, plantedKey) || strings.Contains(output, webhookExample) {
				t.Errorf("the scan printed the secret:\n%s", output)
			}
		})
	}
}

func TestScanPasses(t *testing.T) {
	t.Parallel()
	for name, plant := range map[string]func(r repository){
		"without a secret":                 func(repository) {},
		"with a secret in an ignored file": func(r repository) { r.write("ignored/app.conf", plantedKey+"\n") },
		"with an exception in its file": func(r repository) {
			r.write("notification-service/internal/app/a_test.go", "secret = \""+webhookExample+"\"\n")
			r.commit()
		},
		"with a committed file that was removed": func(r repository) { r.remove("README.md") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRepository(t)
			plant(r)
			before := r.git("status", "--porcelain")
			if status, output := r.scan(); status != 0 || !strings.Contains(output, "no secret in") {
				t.Errorf("the scan ended with %d, want 0:\n%s", status, output)
			}
			if after := r.git("status", "--porcelain"); after != before {
				t.Errorf("the scan changed the state of the repository from %q to %q", before, after)
			}
		})
	}
}

func TestScanOfAShallowCloneLooksAtTheFilesAndRefusesTheHistory(t *testing.T) {
	t.Parallel()
	r := newRepository(t)
	r.write("README.md", "second\n")
	r.commit()
	shallow := repository{t, filepath.Join(t.TempDir(), "clone")}
	r.git("clone", "--quiet", "--depth=1", "file://"+r.root, shallow.root)
	if status, output := shallow.scan(); status != 1 || !strings.Contains(output, "git fetch --unshallow") {
		t.Errorf("the scan ended with %d, want 1 and what to do:\n%s", status, output)
	}
	shallow.write("app.conf", "key = \""+plantedKey+"\"\n")
	if status, output := shallow.scan(); status != 1 || !strings.Contains(output, "app.conf") {
		t.Errorf("the scan ended with %d, want 1 and the secret in a file:\n%s", status, output)
	}
}

// repository is a git repository on the branch main with one commit, removed when the test ends.
type repository struct {
	t    *testing.T
	root string
}

func newRepository(t *testing.T) repository {
	t.Helper()
	r := repository{t, t.TempDir()}
	r.git("init", "--quiet", "--initial-branch=main")
	r.write(".gitignore", "/ignored/\n")
	r.write("README.md", "first\n")
	r.commit()
	return r
}

func (r repository) write(name, content string) {
	r.t.Helper()
	name = filepath.Join(r.root, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

func (r repository) remove(name string) {
	r.t.Helper()
	if err := os.Remove(filepath.Join(r.root, name)); err != nil {
		r.t.Fatal(err)
	}
}

// commit commits every change.
func (r repository) commit() {
	r.t.Helper()
	r.git("add", "--all")
	r.git("commit", "--quiet", "--message=change")
}

// mergeWith makes a merge commit that adds a file which neither parent has.
func (r repository) mergeWith(name, content string) {
	r.t.Helper()
	r.git("switch", "--quiet", "--create", "side")
	r.write("side.txt", "side\n")
	r.commit()
	r.git("switch", "--quiet", "main")
	r.git("merge", "--quiet", "--no-ff", "--no-commit", "side")
	r.write(name, content)
	r.commit()
}

func (r repository) git(args ...string) string {
	r.t.Helper()
	cmd := exec.CommandContext(r.t.Context(), "git", append([]string{"-C", r.root, "-c", "user.name=test", "-c", "user.email=test@example.org"}, args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// scan returns the exit status and all output.
func (r repository) scan() (status int, output string) {
	r.t.Helper()
	cmd := exec.CommandContext(r.t.Context(), "./scan", r.root)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		r.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

// The test needs the pinned gitleaks.
func TestMain(m *testing.M) {
	if out, err := exec.Command("make", "--no-print-directory", "-C", "../../../contracts", "gitleaks").CombinedOutput(); err != nil {
		panic(string(out))
	}
	m.Run()
}
