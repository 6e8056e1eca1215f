package main

import (
	"os"
	"strings"
	"testing"

	"example.com/todo/scripts/internal/workspace/workspacetest"
)

// The go commands of these tests use no network and a module cache of their own.
func TestMain(m *testing.M) {
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	cache, err := os.MkdirTemp("", "polyrepo-modcache")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(cache)
	for name, value := range map[string]string{"GOMODCACHE": cache, "GOFLAGS": "-modcacherw", "GOPROXY": "off"} {
		if err := os.Setenv(name, value); err != nil {
			panic(err)
		}
	}
	return m.Run()
}

const (
	retryFile = "platform/retry/retry.go"
	taskFile  = "todo-service/internal/task/t.go"
	statsFile = "stats-service/internal/stats/s.go"
)

func TestEachModuleOfAWorkspaceIsCheckedOnItsOwn(t *testing.T) {
	t.Parallel()
	tagPlatform := func(r workspacetest.Repository) { r.Git("tag", "platform/v0.1.0") }
	useNewSymbol := func(r workspacetest.Repository) {
		r.Edit(retryFile, "func Retry() {}", "func Retry() {}\n\nfunc Forever() {}")
		r.Edit(taskFile, "retry.Retry()", "retry.Forever()")
	}
	for name, c := range map[string]struct {
		change  []func(r workspacetest.Repository)
		modules []string
		want    string   // in the error, "" for none
		output  []string // in the output
	}{
		"as it is": {
			output: []string{"== contracts", "== platform", "== stats-service", "== todo-service", "go test ./..."},
		},
		"an uncommitted symbol of platform is used before the first release": {
			change: []func(workspacetest.Repository){useNewSymbol},
			output: []string{"platform v0.1.0: not released yet, the working tree"},
		},
		"a symbol of platform is used that the required release does not have": {
			change: []func(workspacetest.Repository){tagPlatform, useNewSymbol},
			want:   "todo-service alone, with contracts v0.1.0 and platform v0.1.0: go build ./...: exit status 1",
			output: []string{"platform v0.1.0: tag platform/v0.1.0", "undefined: retry.Forever"},
		},
		"the next release is required, which has the symbol": {
			change: []func(workspacetest.Repository){tagPlatform, useNewSymbol, func(r workspacetest.Repository) {
				r.Edit("todo-service/go.mod", "platform v0.1.0", "platform v0.2.0")
			}},
			output: []string{"platform v0.2.0: not released yet, the working tree", "platform v0.1.0: tag platform/v0.1.0"},
		},
		"a version is required that was skipped": {
			change: []func(workspacetest.Repository){func(r workspacetest.Repository) { r.Git("tag", "platform/v0.2.0") }},
			want:   "todo-service requires platform v0.1.0, which was not released; require in todo-service/go.mod v0.2.0",
		},
		"a service imports what is internal to another one": {
			change: []func(workspacetest.Repository){func(r workspacetest.Repository) {
				r.Edit(taskFile, "import (", "import (\n\t_ \"example.org/acme/stats-service/internal/stats\"")
			}},
			want:   "todo-service alone",
			output: []string{"example.org/acme/stats-service/internal/stats"},
		},
		"a service requires another one": {
			change: []func(workspacetest.Repository){func(r workspacetest.Repository) {
				r.Edit("todo-service/go.mod", "go 1.26.0", "go 1.26.0\n\nrequire example.org/acme/stats-service v0.1.0")
			}},
			want: "todo-service requires stats-service: a module may require contracts and platform only",
		},
		"a service imports what is internal to platform": {
			change: []func(workspacetest.Repository){func(r workspacetest.Repository) {
				r.Write("platform/internal/client/c.go", "package client\n")
				r.Edit(statsFile, "import ", "import _ \"example.org/acme/platform/internal/client\"\nimport ")
			}},
			want:   "stats-service alone, with platform v0.1.0: go build ./...",
			output: []string{"use of internal package example.org/acme/platform/internal/client not allowed"},
		},
		"a test reads a file of another module": {
			change: []func(workspacetest.Repository){func(r workspacetest.Repository) {
				r.Write("todo-service/go_test.go", "package todo\n\nimport (\n\t\"os\"\n\t\"testing\"\n)\n\n"+
					"func TestRead(t *testing.T) {\n\tif _, err := os.ReadFile(\"../platform/go.mod\"); err != nil {\n\t\tt.Fatal(err)\n\t}\n}\n")
			}},
			want:   "todo-service alone, with contracts v0.1.0 and platform v0.1.0: go test ./...",
			output: []string{"--- FAIL: TestRead"},
		},
		"vet finds a mistake": {
			change: []func(workspacetest.Repository){func(r workspacetest.Repository) {
				r.Write("contracts/event/a_test.go", "package event\n\nimport \"testing\"\n\nfunc TestA(t *testing.T) { t.Logf(\"%d\", \"a\") }\n")
			}},
			want: "contracts alone: go vet ./...",
		},
		"another module's failure does not concern the named one": {
			change:  []func(workspacetest.Repository){func(r workspacetest.Repository) { r.Edit(taskFile, "retry.Retry()", "retry.Absent()") }},
			modules: []string{"stats-service"},
		},
		"a name that is no module": {
			modules: []string{"scripts"},
			want:    `"scripts" is no module; the modules are contracts, platform, stats-service, todo-service`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := workspacetest.New(t)
			for _, change := range c.change {
				change(r)
			}
			var out strings.Builder
			err := run(t.Context(), &out, r.Root, "", c.modules)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("error %v, want %q\n%s", err, c.want, &out)
			}
			for _, want := range c.output {
				if !strings.Contains(out.String(), want) {
					t.Errorf("the output lacks %q:\n%s", want, &out)
				}
			}
		})
	}
}

func TestTheCheckLeavesTheRepositoryAsItWas(t *testing.T) {
	t.Parallel()
	r := workspacetest.New(t)
	r.Write("contracts/new.go", "package contracts\n")
	r.Edit("LICENSE", "MIT", "BSD")
	before := r.Git("status", "--porcelain")
	if err := run(t.Context(), new(strings.Builder), r.Root, "", []string{"contracts"}); err != nil {
		t.Fatal(err)
	}
	if after := r.Git("status", "--porcelain"); after != before {
		t.Errorf("git status before:\n%s\nand after:\n%s", before, after)
	}
}

// A team that takes the exported folder and the served modules gets the license, too.
func TestAServedModuleContainsTheLicense(t *testing.T) {
	t.Parallel()
	r := workspacetest.New(t)
	r.Write("todo-service/license_test.go", `package todo

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestLicense(t *testing.T) {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "example.org/acme/platform").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{".", strings.TrimSpace(string(dir))} {
		if _, err := os.Stat(folder + "/LICENSE"); err != nil {
			t.Error(err)
		}
	}
}
`)
	var out strings.Builder
	if err := run(t.Context(), &out, r.Root, "", []string{"todo-service"}); err != nil {
		t.Errorf("%v\n%s", err, &out)
	}
}

// The target stands for a build whose commands see no file of this host: it has a module cache of its own.
func TestAnImageIsBuiltFromTheServedModules(t *testing.T) {
	t.Parallel()
	r := workspacetest.New(t)
	r.Write("todo-service/Dockerfile", "FROM scratch\n")
	r.Write("todo-service/Makefile", "image:\n\t@GOMODCACHE=$(CURDIR)/modules GOPROXY=$(lastword $(subst GOPROXY=, ,$(DOCKER_BUILD))) go mod download && echo $(DOCKER) $(TAG) && false\n")
	var out strings.Builder
	err := run(t.Context(), &out, r.Root, "nerdctl", []string{"todo-service", "stats-service"})
	if err == nil || err.Error() != "todo-service alone: make image: exit status 2" {
		t.Errorf("the error of a build that fails is %v", err)
	}
	if !strings.Contains(out.String(), "nerdctl polyrepo\n") {
		t.Errorf("the modules were not downloaded, or the arguments are others:\n%s", &out)
	}
}
