package prometheus

import (
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// Rules, their tests, their runbook and their faults, without a finding.
const (
	goodRules = `
groups:
  - rules:
      - {record: "slo:objective:ratio", labels: {slo: fast}, expr: vector(0.9)}
      - {record: "job:up:sum", expr: sum by (job) (up)}
      - alert: Down
        expr: job:up:sum == 0
        for: 1m
        labels: {severity: page}
        annotations: {summary: s, description: d, runbook_url: "https://example.com/todo/blob/main/compose/prometheus/RUNBOOK.md#down"}
      - alert: Burns
        expr: sum(rate(a_seconds_bucket[1h])) > on (slo) slo:objective:ratio
        labels: {severity: ticket}
        annotations: {summary: s, description: d, runbook_url: "https://example.com/todo/blob/main/compose/prometheus/RUNBOOK.md#burns"}
`
	goodTests = `
tests:
  - promql_expr_test:
      - {expr: "round(slo:objective:ratio, 0.1)", exp_samples: [{labels: '{slo="fast"}', value: 1}]}
      - {expr: "job:up:sum", exp_samples: [{labels: 'job:up:sum{job="j"}', value: 1}]}
    alert_rule_test:
      - {alertname: Down, exp_alerts: []}
      - {alertname: Down, exp_alerts: [{exp_labels: {job: j}}]}
      - {alertname: Burns, exp_alerts: [{exp_labels: {slo: fast}}]}
      - {alertname: Burns}
`
	goodRunbook = "# Runbook\n\n## Down\n\n## Burns\n"
	goodLive    = "- {alert: Down, stop: j}\n"
)

// findAll returns the findings of all checks.
func findAll(t *testing.T, rulesText, testsText, runbook, liveText string) []string {
	t.Helper()
	var rules ruleFile
	var tests testFile
	for text, into := range map[string]any{rulesText: &rules, testsText: &tests} {
		if err := yaml.Unmarshal([]byte(text), into); err != nil {
			t.Fatal(err)
		}
	}
	live, err := loadLiveAlerts([]byte(liveText))
	if err != nil {
		return []string{err.Error()}
	}
	all := rules.Groups[0].Rules
	found := findUntested(all, []testFile{tests})
	found = append(found, findUnknownMetrics(all, map[string]bool{"up": true, "a_seconds": true})...)
	found = append(found, findRunbookErrors(all, runbook)...)
	return append(found, findMissingFaults(all, live)...)
}

func TestChecksReportEachViolation(t *testing.T) {
	t.Parallel()
	if found := findAll(t, goodRules, goodTests, goodRunbook, goodLive); len(found) > 0 {
		t.Fatalf("findings without a violation: %q", found)
	}
	for name, c := range map[string]struct {
		old, replacement string // in any of the four
		want             string // a part of the only finding
	}{
		"an alert that no test fires":        {`{alertname: Down, exp_alerts: [{exp_labels: {job: j}}]}`, `{alertname: Down}`, "Down: has no test in which it fires"},
		"an alert that every test fires":     {`{alertname: Down, exp_alerts: []}`, `{alertname: Burns}`, "Down: has no test in which it does not fire"},
		"an objective that no test misses":   {`exp_labels: {slo: fast}`, `exp_labels: {slo: slow}`, "Burns: has no test in which it fires for fast"},
		"a test of another alert":            {`{alertname: Burns}`, "{alertname: Burns}\n      - {alertname: Typo}", "Typo: is tested"},
		"a record without a test":            {`{expr: "job:up:sum", `, `{expr: "up", `, "job:up:sum map[]: has no test"},
		"a record without an expectation":    {`exp_samples: [{labels: 'job:up:sum{job="j"}', value: 1}]`, `exp_samples: []`, "job:up:sum map[]: has no test"},
		"a record with other labels":         {`labels: '{slo="fast"}'`, `labels: '{slo="slow"}'`, "slo:objective:ratio map[slo:fast]: has no test"},
		"a metric that is not registered":    {`sum by (job) (up)`, `sum by (job) (upp)`, "job:up:sum: reads upp"},
		"a histogram that is not registered": {`a_seconds_bucket`, `b_seconds_bucket`, "Burns: reads b_seconds_bucket"},
		"another severity":                   {`severity: page`, `severity: warning`, `Down: its severity is "warning"`},
		"no summary":                         {`{summary: s, description: d, runbook_url: "https://example.com/todo/blob/main/compose/prometheus/RUNBOOK.md#down"`, `{description: d, runbook_url: "https://example.com/todo/blob/main/compose/prometheus/RUNBOOK.md#down"`, "Down: has no summary"},
		"another anchor":                     {`RUNBOOK.md#burns`, `RUNBOOK.md#down`, `Burns: its runbook_url is`},
		"no section in the runbook":          {"## Down\n", "", "Down: has no section"},
		"a section without an alert":         {"## Down\n", "## Down\n\n## Up\n", "Up: is a section of the runbook and no alert"},
		"a short alert without a fault":      {"- {alert: Down, stop: j}\n", "[]", "Down: looks back for 1m0s, and live.yml has no fault"},
		"a long alert with a fault":          {"- {alert: Down, stop: j}\n", "- {alert: Down, stop: j}\n- {alert: Burns, stop: j}\n", "Burns: is in live.yml and looks back for 1h0m0s"},
		"a fault for another alert":          {"- {alert: Down, stop: j}\n", "- {alert: Down, stop: j}\n- {alert: Typo, stop: j}\n", "Typo: is in live.yml and no alert"},
		"a fault without a part":             {"- {alert: Down, stop: j}\n", "- {alert: Down}\n", "Down: needs a part to stop, or settings"},
	} {
		texts := []string{goodRules, goodTests, goodRunbook, goodLive}
		changed := 0
		for i, text := range texts {
			texts[i] = strings.Replace(text, c.old, c.replacement, 1)
			if texts[i] != text {
				changed++
			}
		}
		if changed != 1 {
			t.Errorf("%s: %q is in %d of the texts", name, c.old, changed)
			continue
		}
		if found := findAll(t, texts[0], texts[1], texts[2], texts[3]); len(found) != 1 || !strings.Contains(found[0], c.want) {
			t.Errorf("%s: found %q, want %q", name, found, c.want)
		}
	}
}

func TestLookbackAddsRangesOffsetsWaitsAndRecordedRules(t *testing.T) {
	t.Parallel()
	var file ruleFile
	err := yaml.Unmarshal([]byte(`
groups:
  - rules:
      - {record: "r:a", expr: "rate(a[1m])"}
      - {record: "r:b", expr: "max_over_time(r:a[2m])"}
      - {alert: A, for: 1m, expr: "x > 0 or (min_over_time((r:b - r:b offset 10s)[5m:10s]) >= 0 and sum by (job) (rate(c[7m])) > 0)"}
`), &file)
	if err != nil {
		t.Fatal(err)
	}
	rules := file.Groups[0].Rules
	// The wait, the subquery, the offset, and the ranges of r:b and r:a.
	if got, want := rules[2].lookback(rules), time.Minute+5*time.Minute+10*time.Second+2*time.Minute+time.Minute; got != want {
		t.Errorf("looks back for %s, want %s", got, want)
	}
}
