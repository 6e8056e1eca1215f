package workflows

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"example.com/todo/scripts/internal/workspace"
)

const (
	root     = "../../.."
	reusable = ".github/workflows/module.yml"
)

// paths is the filter of a trigger.
type paths struct {
	Paths []string `yaml:"paths"`
}

func TestTheWorkflowOfAModuleRunsWhenWhatItRequiresChanges(t *testing.T) {
	t.Parallel()
	w, err := workspace.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	if len(w.Modules) == 0 {
		t.Error("no module was checked")
	}
	for _, m := range w.Modules {
		name := ".github/workflows/" + m.Name + ".yml"
		content, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Error(err)
			continue
		}
		var workflow struct {
			On struct {
				Push        paths `yaml:"push"`
				PullRequest paths `yaml:"pull_request"`
			} `yaml:"on"`
			Jobs map[string]struct {
				Uses string `yaml:"uses"`
				With struct {
					Module string `yaml:"module"`
				} `yaml:"with"`
			} `yaml:"jobs"`
		}
		if err := yaml.Unmarshal(content, &workflow); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		want := []string{m.Name + "/**", "go.work", ".golangci.yml", name, reusable}
		for _, required := range m.Requires {
			want = append(want, required.Name+"/**")
		}
		slices.Sort(want)
		for event, got := range map[string][]string{"push": workflow.On.Push.Paths, "pull_request": workflow.On.PullRequest.Paths} {
			if diff := cmp.Diff(want, slices.Sorted(slices.Values(got))); diff != "" {
				t.Errorf("%s: the paths of %s (-want +got):\n%s", name, event, diff)
			}
		}
		if job := workflow.Jobs[m.Name]; job.Uses != "./"+reusable || job.With.Module != m.Name {
			t.Errorf("%s: the job %s uses %q for the module %q", name, m.Name, job.Uses, job.With.Module)
		}
	}
}
