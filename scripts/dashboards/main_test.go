package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"go.yaml.in/yaml/v3"
)

// registerPlugins makes the SDK know the panels and queries that it decodes.
var registerPlugins = sync.OnceFunc(plugins.RegisterDefaultPlugins)

type decoded = dashboard.Dashboard //nolint:staticcheck // see build

const grafana = "../../compose/grafana"

func TestCheckedInDashboardsAreTheGeneratedOnes(t *testing.T) {
	t.Parallel()
	want, err := generate()
	if err != nil {
		t.Fatal(err)
	}
	got := checkedIn(t)
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if want[name] == nil {
			t.Errorf("%s is not generated: remove it", name)
		}
	}
	for name, content := range want {
		if diff := cmp.Diff(strings.Split(string(content), "\n"), strings.Split(string(got[name]), "\n")); diff != "" {
			t.Errorf("%s is outdated: run go run ./dashboards -out ../compose/grafana (-generated +checked in):\n%s", name, diff)
		}
	}
}

func TestDashboardsDecodeStrictlyAndAreValid(t *testing.T) {
	t.Parallel()
	for name, content := range checkedIn(t) {
		if bytes.Contains(content, []byte(`"__inputs"`)) {
			t.Errorf("%s asks for inputs, which provisioning cannot give", name)
		}
		d := decode(t, name, content)
		if again, err := encode(d); err != nil || !bytes.Equal(again, content) {
			t.Errorf("%s does not encode to what it was decoded from: %v", name, err)
		}
		if err := d.Validate(); !isEmpty(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEveryPanelSaysWhatItShowsAndFromWhere(t *testing.T) {
	t.Parallel()
	for name, content := range checkedIn(t) {
		d := decode(t, name, content)
		ids, titles := map[uint32]bool{}, map[string]bool{}
		row := ""
		for _, p := range d.Panels {
			if p.RowPanel != nil {
				row = *p.RowPanel.Title
				checkNew(t, ids, p.RowPanel.Id, name+": "+row)
				continue
			}
			panel := p.Panel
			where := name + ": " + row + ": " + *panel.Title
			checkNew(t, ids, *panel.Id, where)
			if checkNew(t, titles, row+*panel.Title, where); !strings.HasSuffix(*panel.Description, ".") || *panel.FieldConfig.Defaults.Unit == "" {
				t.Errorf("%s has no sentence as its description, or no unit", where)
			}
			if end := panel.GridPos.X + panel.GridPos.W; end > 24 {
				t.Errorf("%s ends at column %d of 24", where, end)
			}
			if len(panel.Targets) == 0 {
				t.Errorf("%s has no target", where)
			}
		}
		if len(ids) < 8 {
			t.Errorf("%s has %d panels: the check checked nothing", name, len(ids))
		}
	}
}

func TestEveryTargetHasAProvisionedDatasource(t *testing.T) {
	t.Parallel()
	types := provisioned(t)
	type source struct{ Type, UID string }
	for name, content := range checkedIn(t) {
		var d struct {
			Panels []struct {
				Title      string
				Datasource *source
				Targets    []struct{ Datasource source }
			}
			Templating struct{ List []struct{ Datasource source } }
		}
		if err := json.Unmarshal(content, &d); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var used []source
		for _, p := range d.Panels {
			for _, target := range p.Targets {
				used = append(used, target.Datasource, *p.Datasource)
			}
		}
		for _, variable := range d.Templating.List {
			used = append(used, variable.Datasource)
		}
		for _, s := range used {
			if types[s.UID] == "" || types[s.UID] != s.Type {
				t.Errorf("%s uses the datasource %s of type %s, which is not provisioned", name, s.UID, s.Type)
			}
		}
	}
}

// With sign-in GET /stats needs a session, which Grafana has not.
func TestSecureOverviewHasTheGaugeAndNothingFromStats(t *testing.T) {
	t.Parallel()
	content := checkedIn(t)[filepath.Join("secure", "overview.json")]
	if bytes.Contains(content, []byte(*statsSource.Type)) || bytes.Contains(content, []byte(statsURL)) {
		t.Errorf("a panel reads %s", statsURL)
	}
	if !bytes.Contains(content, []byte("stats_completed_today_tasks")) {
		t.Error("no panel shows the gauge")
	}
}

func checkNew[T comparable](t *testing.T, known map[T]bool, value T, where string) {
	t.Helper()
	if known[value] {
		t.Errorf("%s: %v occurs twice", where, value)
	}
	known[value] = true
}

func decode(t *testing.T, name string, content []byte) (d decoded) {
	t.Helper()
	registerPlugins()
	// The strict decoder reports every unknown field, but it returns the dashboard without its panels.
	if err := new(decoded).UnmarshalJSONStrict(content); !isEmpty(err) {
		t.Fatalf("%s: %v", name, err)
	}
	if err := json.Unmarshal(content, &d); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return d
}

// isEmpty reports whether err is nil or the SDK's list of no errors, which is not nil.
func isEmpty(err error) bool {
	var list cog.BuildErrors
	return err == nil || errors.As(err, &list) && len(list) == 0
}

// provisioned returns the type of each provisioned datasource by its uid.
func provisioned(t *testing.T) map[string]string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(grafana, "provisioning", "datasources", "datasources.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Datasources []struct{ UID, Type string }
	}
	if err := yaml.Unmarshal(content, &file); err != nil {
		t.Fatal(err)
	}
	types := map[string]string{}
	for _, source := range file.Datasources {
		types[source.UID] = source.Type
	}
	return types
}

func checkedIn(t *testing.T) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(grafana, "*", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no dashboards in %s: %v", grafana, err)
	}
	contents := map[string][]byte{}
	for _, file := range files {
		path, err := filepath.Rel(grafana, file)
		if err != nil {
			t.Fatal(err)
		}
		if contents[path], err = os.ReadFile(file); err != nil {
			t.Fatal(err)
		}
	}
	return contents
}
