package observability

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"
)

const grafanaDir = "../../../compose/grafana"

// dashboardJSON is what this test reads of a dashboard.
type dashboardJSON struct {
	Title      string
	Panels     []panelJSON
	Templating struct {
		List []struct {
			Name  string
			Query string
		}
	}
}

type panelJSON struct {
	Type        string
	Title       string
	FieldConfig struct {
		Defaults struct{ Unit string }
	}
	GridPos struct{ X, Y, W, H int }
	Targets []target
}

// target is a target of a panel, of Prometheus or of the plugin for /stats.
type target struct {
	Datasource   struct{ Type string }
	Expr         string
	LegendFormat string
	Range        bool

	Type, Source, Parser, Format string
	URL                          string
	Root                         string `json:"root_selector"`
	Columns                      []struct{ Selector, Text, Type string }
}

const (
	prometheusType = "prometheus"
	statsType      = "yesoreyeram-infinity-datasource"
)

// expression is one expression to execute.
type expression struct {
	where  string
	promql string
	ranged bool   // over time, not at once
	legend string // names labels of the series
}

// labelTemplate is a label in a legend.
var labelTemplate = regexp.MustCompile(`\{\{(\w+)\}\}`)

// readDashboards returns all dashboards by the names of their files.
func readDashboards(t *testing.T) map[string]dashboardJSON {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(grafanaDir, "dashboards", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no dashboards: %v", err)
	}
	all := map[string]dashboardJSON{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var d dashboardJSON
		if err := json.Unmarshal(content, &d); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all[strings.TrimSuffix(filepath.Base(file), ".json")] = d
	}
	return all
}

// dashboardExpressions returns every expression of a dashboard for Prometheus, with all values of its variables.
func dashboardExpressions(t *testing.T, p *prometheus, d dashboardJSON) (all []expression) {
	t.Helper()
	replace := interpolator(t, p, d)
	for _, panel := range d.Panels {
		for _, target := range panel.Targets {
			where := "dashboard " + d.Title + ", panel " + panel.Title
			switch target.Datasource.Type {
			case prometheusType:
				promql := replace(target.Expr)
				if strings.Contains(promql, "$") {
					t.Errorf("%s: a variable is unknown in %s", where, promql)
				}
				all = append(all, expression{where, promql, target.Range, target.LegendFormat})
			case statsType:
			default:
				t.Errorf("%s: the datasource has the type %q, which this test cannot execute", where, target.Datasource.Type)
			}
		}
	}
	return all
}

var labelValues = regexp.MustCompile(`^label_values\((.+), (\w+)\)$`)

// interpolator returns a function that replaces the dashboard's variables by all of their
// values, as Grafana does, and $__rate_interval by the interval of a short time range.
func interpolator(t *testing.T, p *prometheus, d dashboardJSON) func(string) string {
	t.Helper()
	pairs := []string{"$__rate_interval", model.Duration(4 * p.scrapeInterval).String()}
	for _, variable := range d.Templating.List {
		found := labelValues.FindStringSubmatch(variable.Query)
		if found == nil {
			t.Fatalf("dashboard %s: the variable %s has the query %q, which this test cannot execute", d.Title, variable.Name, variable.Query)
		}
		values, _, _, err := p.LabelValues(t.Context(), found[2], []string{strings.NewReplacer(pairs...).Replace(found[1])}, p.began, time.Now())
		if err != nil || len(values) == 0 {
			t.Fatalf("dashboard %s: the variable %s has no values: %v", d.Title, variable.Name, err)
		}
		var escaped []string
		for _, value := range values {
			escaped = append(escaped, strings.ReplaceAll(regexp.QuoteMeta(string(value)), `\`, `\\`))
		}
		pairs = append(pairs, "$"+variable.Name, "("+strings.Join(escaped, "|")+")")
	}
	return strings.NewReplacer(pairs...).Replace
}

// checkScrapeInterval fails when Grafana is told another scrape interval than Prometheus
// has: $__rate_interval would be too short for a rate, or longer than needed.
func checkScrapeInterval(t *testing.T, p *prometheus) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(grafanaDir, "provisioning", "datasources", "datasources.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Datasources []struct {
			Type     string
			JSONData struct {
				TimeInterval string `yaml:"timeInterval"`
			} `yaml:"jsonData"`
		}
	}
	if err := yaml.Unmarshal(content, &file); err != nil {
		t.Fatal(err)
	}
	for _, source := range file.Datasources {
		if source.Type == prometheusType && source.JSONData.TimeInterval != model.Duration(p.scrapeInterval).String() {
			t.Errorf("datasources.yaml says timeInterval %s, prometheus.yml scrape_interval %v", source.JSONData.TimeInterval, p.scrapeInterval)
		}
	}
}
