package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"go.yaml.in/yaml/v3"
)

type series struct {
	Series string `yaml:"series"`
	Values string `yaml:"values"`
}

type sample struct {
	Labels string  `yaml:"labels"`
	Value  float64 `yaml:"value"`
}

func TestRequestsPanelAddsBothTransports(t *testing.T) {
	t.Parallel()
	http := series{`http_requests_total{instance="a", route="GET /tasks"}`, "0+30x60"}
	grpc := series{`grpc_server_handled_total{instance="a", grpc_method="GetTask"}`, "0+60x60"}
	expr := exprOf(t, overview(completionsRow()), "Requests")
	for name, test := range map[string]struct {
		input []series
		want  []sample
	}{
		"HTTP and gRPC": {[]series{http, grpc}, []sample{{"{}", 3}}},
		"HTTP alone":    {[]series{http}, []sample{{"{}", 1}}},
		"gRPC alone":    {[]series{grpc}, []sample{{"{}", 2}}},
		"neither":       {nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			expect(t, expr, test.input, test.want)
		})
	}
}

func TestGoodEventsPanelCountsFewEventsAsTheyAre(t *testing.T) {
	t.Parallel()
	expect(t, exprOf(t, objectives(), "Good events in the last 3 days"), []series{
		{`slo:events:rate5m{job="j", slo="all bad"}`, "0.01x60"},
		{`slo:bad_events:rate5m{job="j", slo="all bad"}`, "0.01x60"},
		{`slo:events:rate5m{job="j", slo="a quarter bad"}`, "1x60"},
		{`slo:bad_events:rate5m{job="j", slo="a quarter bad"}`, "0.25x60"},
		{`slo:events:rate5m{job="j", slo="no events"}`, "0x60"},
		{`slo:bad_events:rate5m{job="j", slo="no events"}`, "0x60"},
	}, []sample{
		{`{job="j", slo="all bad"}`, 0},
		{`{job="j", slo="a quarter bad"}`, 0.75},
	})
}

// exprOf returns the expression of the only target of a panel, for all instances.
func exprOf(t *testing.T, rows []row, title string) string {
	t.Helper()
	for _, r := range rows {
		for _, p := range r.panels {
			if p.title == title && len(p.targets) == 1 {
				return strings.NewReplacer("$__rate_interval", "1m", "$instance", ".*").Replace(p.targets[0].(prometheus.Dataquery).Expr)
			}
		}
	}
	t.Fatalf("no panel %s has one target", title)
	return ""
}

// expect evaluates the expression with promtool and the rules of the objectives, 10 minutes after the first sample of the
// input, whose samples are 30 s apart.
func expect(t *testing.T, expr string, input []series, want []sample) {
	t.Helper()
	if _, err := exec.LookPath("promtool"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("promtool is missing: apt-get install prometheus")
		}
		t.Skip("promtool is missing: apt-get install prometheus")
	}
	rules, err := filepath.Abs("../../compose/prometheus/rules/slo.yml")
	if err != nil {
		t.Fatal(err)
	}
	content, err := yaml.Marshal(map[string]any{"rule_files": []string{rules}, "tests": []any{map[string]any{
		"interval": "30s", "input_series": input,
		"promql_expr_test": []any{map[string]any{"expr": expr, "eval_time": "10m", "exp_samples": want}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "test.yml")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if output, err := exec.CommandContext(t.Context(), "promtool", "test", "rules", file).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, output)
	}
}
