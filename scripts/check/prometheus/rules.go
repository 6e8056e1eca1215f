package prometheus

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/VictoriaMetrics/metricsql"
	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"
)

// rule is a recording rule or an alert.
type rule struct {
	Record      string            `yaml:"record"`
	Alert       string            `yaml:"alert"`
	Expr        expression        `yaml:"expr"`
	For         model.Duration    `yaml:"for"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

type ruleFile struct {
	Groups []struct {
		Rules []rule `yaml:"rules"`
	} `yaml:"groups"`
}

// testFile is a file of tests for promtool, as far as the checks read it.
type testFile struct {
	Tests []struct {
		Alerts     []alertTest  `yaml:"alert_rule_test"`
		Recordings []recordTest `yaml:"promql_expr_test"`
	} `yaml:"tests"`
}

// alertTest expects the alerts of one name at one time.
type alertTest struct {
	Name     string `yaml:"alertname"`
	Expected []struct {
		Labels map[string]string `yaml:"exp_labels"`
	} `yaml:"exp_alerts"`
}

// recordTest expects the samples of an expression at one time.
type recordTest struct {
	Expr     expression `yaml:"expr"`
	Expected []struct {
		Labels expression `yaml:"labels"`
	} `yaml:"exp_samples"`
}

// liveAlert is an entry of live.yml: the fault that fires an alert in a running system.
type liveAlert struct {
	Alert    string            `yaml:"alert"`
	Stop     string            `yaml:"stop"`
	Settings map[string]string `yaml:"settings"`
	Load     string            `yaml:"load"`
	Labels   map[string]string `yaml:"labels"`
}

// expression is a parsed PromQL expression, or a series.
type expression struct{ metricsql.Expr }

func (e *expression) UnmarshalYAML(node *yaml.Node) (err error) {
	e.Expr, err = metricsql.Parse(node.Value)
	return err
}

// metrics returns the names of the metrics that the expression reads.
func (e expression) metrics() map[string]bool {
	names := map[string]bool{}
	metricsql.VisitAll(e.Expr, func(node metricsql.Expr) {
		if selector, ok := node.(*metricsql.MetricExpr); ok {
			names[selectorLabels(selector)["__name__"]] = true
		}
	})
	return names
}

// selectorLabels returns the labels that a selector compares for equality, with the name of the metric as __name__.
func selectorLabels(selector *metricsql.MetricExpr) map[string]string {
	labels := map[string]string{}
	for _, filters := range selector.LabelFilterss {
		for _, filter := range filters {
			if !filter.IsNegative && !filter.IsRegexp {
				labels[filter.Label] = filter.Value
			}
		}
	}
	return labels
}

// loadAll decodes each file that matches the pattern. It is an error if none does.
func loadAll[T any](pattern string) ([]T, error) {
	names, err := filepath.Glob(pattern)
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("no file matches %s", pattern)
	}
	var all []T
	for _, name := range names {
		content, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		var one T
		if err := yaml.Unmarshal(content, &one); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		all = append(all, one)
	}
	return all, nil
}

// loadRules returns the rules of all files that match the pattern.
func loadRules(pattern string) ([]rule, error) {
	files, err := loadAll[ruleFile](pattern)
	var rules []rule
	for _, file := range files {
		for _, group := range file.Groups {
			rules = append(rules, group.Rules...)
		}
	}
	return rules, err
}

// loadLiveAlerts rejects unknown fields, and entries with both or none of a part to stop and settings.
func loadLiveAlerts(content []byte) ([]liveAlert, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	decoder.KnownFields(true)
	var alerts []liveAlert
	err := decoder.Decode(&alerts)
	for _, alert := range alerts {
		if (alert.Stop == "") == (len(alert.Settings) == 0) {
			err = errors.Join(err, fmt.Errorf("%s: needs a part to stop, or settings", alert.Alert))
		}
	}
	return alerts, err
}

// lookback returns how far back the rule looks, in the rules that it reads and with its wait.
func (r rule) lookback(rules []rule) time.Duration {
	return time.Duration(r.For) + lookback(r.Expr.Expr, rules)
}

func lookback(node metricsql.Expr, rules []rule) (back time.Duration) {
	addLongest := func(of ...metricsql.Expr) {
		for _, child := range of {
			back = max(back, lookback(child, rules))
		}
	}
	switch n := node.(type) {
	case *metricsql.MetricExpr:
		for _, r := range rules {
			if r.Record == selectorLabels(n)["__name__"] {
				back = max(back, r.lookback(rules))
			}
		}
	case *metricsql.RollupExpr:
		addLongest(n.Expr)
		for _, part := range []*metricsql.DurationExpr{n.Window, n.Offset} {
			if part != nil {
				back += time.Duration(part.Duration(0)) * time.Millisecond
			}
		}
	case *metricsql.BinaryOpExpr:
		addLongest(n.Left, n.Right)
	case *metricsql.FuncExpr:
		addLongest(n.Args...)
	case *metricsql.AggrFuncExpr:
		addLongest(n.Args...)
	}
	return back
}
