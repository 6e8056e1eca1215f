package prometheus

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/VictoriaMetrics/metricsql"
)

const (
	// objective is the recording rule of the objectives, one for each value of its label slo.
	objective = "slo:objective:ratio"

	runbookURL = "https://example.com/todo/blob/main/compose/prometheus/RUNBOOK.md"

	// maxLiveLookback is how far back an alert may look that is fired in a running system: a test waits for it.
	maxLiveLookback = 5 * time.Minute
)

// findUntested returns the alerts without a test in which they fire or one in which they do not, and the recording rules
// without a test of their result. An alert on objectives must fire for each.
func findUntested(rules []rule, files []testFile) []string {
	var found []string
	fired, silent := map[string][]map[string]string{}, map[string]bool{}
	for _, file := range files {
		for _, group := range file.Tests {
			for _, test := range group.Alerts {
				if !slices.ContainsFunc(rules, func(r rule) bool { return r.Alert == test.Name }) {
					found = append(found, test.Name+": is tested and is no alert")
				}
				silent[test.Name] = silent[test.Name] || len(test.Expected) == 0
				for _, expected := range test.Expected {
					fired[test.Name] = append(fired[test.Name], expected.Labels)
				}
			}
		}
	}
	for _, r := range rules {
		switch {
		case r.Record != "":
			if !isRecordTested(r, files) {
				found = append(found, fmt.Sprintf("%s %v: has no test", r.Record, r.Labels))
			}
			continue
		case len(fired[r.Alert]) == 0:
			found = append(found, r.Alert+": has no test in which it fires")
		case !silent[r.Alert]:
			found = append(found, r.Alert+": has no test in which it does not fire")
		}
		for _, o := range rules {
			slo := o.Labels["slo"]
			if o.Record == objective && r.Expr.metrics()[objective] &&
				!slices.ContainsFunc(fired[r.Alert], func(l map[string]string) bool { return l["slo"] == slo }) {
				found = append(found, fmt.Sprintf("%s: has no test in which it fires for %s", r.Alert, slo))
			}
		}
	}
	return found
}

// isRecordTested reports whether a test reads the rule's metric and expects a sample with the rule's labels.
func isRecordTested(r rule, files []testFile) bool {
	for _, file := range files {
		for _, group := range file.Tests {
			for _, test := range group.Recordings {
				for _, expected := range test.Expected {
					sample, ok := expected.Labels.Expr.(*metricsql.MetricExpr)
					matches := ok && test.Expr.metrics()[r.Record]
					for name, value := range r.Labels {
						matches = matches && selectorLabels(sample)[name] == value
					}
					if matches {
						return true
					}
				}
			}
		}
	}
	return false
}

// findUnknownMetrics returns the metrics in expressions that are neither recorded nor registered.
func findUnknownMetrics(rules []rule, registered map[string]bool) []string {
	known := maps.Clone(registered)
	for _, r := range rules {
		known[r.Record] = true
	}
	var found []string
	for _, r := range rules {
		for name := range r.Expr.metrics() {
			base := name
			for _, suffix := range []string{"_bucket", "_count", "_sum"} {
				base = strings.TrimSuffix(base, suffix)
			}
			if !known[name] && !known[base] {
				found = append(found, fmt.Sprintf("%s: reads %s, which the code does not register", r.Record+r.Alert, name))
			}
		}
	}
	return found
}

var section = regexp.MustCompile(`(?m)^## (.+)$`)

// findRunbookErrors returns the alerts whose severity, texts or link are wrong, and the sections of the runbook that belong to
// no alert.
func findRunbookErrors(rules []rule, runbook string) []string {
	sections := map[string]bool{}
	for _, match := range section.FindAllStringSubmatch(runbook, -1) {
		sections[match[1]] = true
	}
	var found []string
	for _, r := range rules {
		if r.Alert == "" {
			continue
		}
		if severity := r.Labels["severity"]; severity != "page" && severity != "ticket" {
			found = append(found, fmt.Sprintf("%s: its severity is %q, and neither page nor ticket", r.Alert, severity))
		}
		for _, text := range []string{"summary", "description"} {
			if r.Annotations[text] == "" {
				found = append(found, fmt.Sprintf("%s: has no %s", r.Alert, text))
			}
		}
		// GitHub makes a heading of one word an anchor in lower case.
		if got, want := r.Annotations["runbook_url"], runbookURL+"#"+strings.ToLower(r.Alert); got != want {
			found = append(found, fmt.Sprintf("%s: its runbook_url is %q, want %q", r.Alert, got, want))
		}
		if !sections[r.Alert] {
			found = append(found, r.Alert+": has no section in the runbook")
		}
		delete(sections, r.Alert)
	}
	for name := range sections {
		found = append(found, name+": is a section of the runbook and no alert")
	}
	return found
}

// findMissingFaults returns the alerts that look back for at most maxLiveLookback without a fault in live.yml, and the
// entries there of other alerts.
func findMissingFaults(rules []rule, live []liveAlert) []string {
	var found []string
	for _, r := range rules {
		if r.Alert == "" {
			continue
		}
		listed := slices.ContainsFunc(live, func(l liveAlert) bool { return l.Alert == r.Alert })
		switch back := r.lookback(rules); {
		case back <= maxLiveLookback && !listed:
			found = append(found, fmt.Sprintf("%s: looks back for %s, and live.yml has no fault that fires it", r.Alert, back))
		case back > maxLiveLookback && listed:
			found = append(found, fmt.Sprintf("%s: is in live.yml and looks back for %s", r.Alert, back))
		}
	}
	for _, l := range live {
		if !slices.ContainsFunc(rules, func(r rule) bool { return r.Alert == l.Alert }) {
			found = append(found, l.Alert+": is in live.yml and no alert")
		}
	}
	return found
}
