package observability

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/VictoriaMetrics/metricsql"
	"github.com/google/go-cmp/cmp"
	promapi "github.com/prometheus/client_golang/api/prometheus/v1"
)

// ruleExpressions returns the expressions of every rule that Prometheus loaded: of a
// recording rule its expression and its name; of an alert the operands of its conditions,
// which are rightly false in a healthy system.
func ruleExpressions(t *testing.T, p *prometheus) (all []expression) {
	t.Helper()
	rules, err := p.Rules(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, group := range rules.Groups {
		for _, rule := range group.Rules {
			switch rule := rule.(type) {
			case promapi.RecordingRule:
				where := "recording rule " + rule.Name
				all = append(all, expression{where: where, promql: rule.Query})
				var matchers []string
				for name, value := range rule.Labels {
					matchers = append(matchers, fmt.Sprintf("%s=%q", name, value))
				}
				all = append(all, expression{where: where + ", as recorded", promql: fmt.Sprintf("%s{%s}", rule.Name, strings.Join(matchers, ","))})
			case promapi.AlertingRule:
				operands, err := conditionOperands(rule.Query)
				if err != nil {
					t.Errorf("alert %s: %v", rule.Name, err)
				}
				for _, operand := range operands {
					all = append(all, expression{where: "alert " + rule.Name, promql: operand})
				}
			}
		}
	}
	return all
}

// checkRulesWork fails for each rule that Prometheus could not evaluate, or has not evaluated yet.
func checkRulesWork(t *testing.T, p *prometheus) {
	t.Helper()
	rules, err := p.Rules(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, group := range rules.Groups {
		for _, rule := range group.Rules {
			name, health, lastError := "", promapi.RuleHealth(""), ""
			switch rule := rule.(type) {
			case promapi.RecordingRule:
				name, health, lastError = rule.Name, rule.Health, rule.LastError
			case promapi.AlertingRule:
				name, health, lastError = rule.Name, rule.Health, rule.LastError
			}
			if health != promapi.RuleHealthGood {
				t.Errorf("rule %s of group %s is %s: %s", name, group.Name, health, lastError)
			}
		}
	}
}

// conditionOperands returns what the comparisons of an alert's expression compare, without
// constants. A part without a comparison is returned as it is; of absent(x), x is.
func conditionOperands(promql string) ([]string, error) {
	parsed, err := metricsql.Parse(promql)
	if err != nil {
		return nil, err
	}
	var all []string
	for _, e := range operands(parsed) {
		if _, constant := e.(*metricsql.NumberExpr); !constant {
			all = append(all, string(e.AppendString(nil)))
		}
	}
	return all, nil
}

func operands(e metricsql.Expr) []metricsql.Expr {
	switch e := e.(type) {
	case *metricsql.BinaryOpExpr:
		switch strings.ToLower(e.Op) {
		case "and", "or", "unless":
			return append(operands(e.Left), operands(e.Right)...)
		case "==", "!=", ">", "<", ">=", "<=":
			return []metricsql.Expr{e.Left, e.Right}
		}
	case *metricsql.FuncExpr:
		if e.Name == "absent" {
			return e.Args
		}
	}
	return []metricsql.Expr{e}
}

// withAlternatives returns the expressions and, besides, both sides of every "or" in them:
// the right side would hide that the left one has no value.
func withAlternatives(t *testing.T, expressions []expression) []expression {
	t.Helper()
	all := slices.Clone(expressions)
	for _, e := range expressions {
		parsed, err := metricsql.Parse(e.promql)
		if err != nil {
			t.Errorf("%s: %v: %s", e.where, err, e.promql)
			continue
		}
		metricsql.VisitAll(parsed, func(part metricsql.Expr) {
			if or, ok := part.(*metricsql.BinaryOpExpr); ok && strings.EqualFold(or.Op, "or") {
				for _, side := range []metricsql.Expr{or.Left, or.Right} {
					all = append(all, expression{where: e.where + ", one side of or", promql: string(side.AppendString(nil))})
				}
			}
		})
	}
	return all
}

func TestBothSidesOfOrAreExpressions(t *testing.T) {
	t.Parallel()
	var got []string
	for _, e := range withAlternatives(t, []expression{{promql: `sum(a or vector(0)) / b`}, {promql: `c`}}) {
		got = append(got, e.promql)
	}
	if diff := cmp.Diff([]string{`sum(a or vector(0)) / b`, `c`, `a`, `vector(0)`}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestConditionOperandsAreWhatIsCompared(t *testing.T) {
	t.Parallel()
	for promql, want := range map[string][]string{
		`up == 0`:                          {`up`},
		`a / b > 0.5`:                      {`a / b`},
		`absent(up{job="x"})`:              {`up{job="x"}`},
		`a == 0 or absent(b)`:              {`a`, `b`},
		`(a > 1 and b > 2 * c) unless d<3`: {`a`, `b`, `2 * c`, `d`},
		`max(a) by (job) > 0`:              {`max(a) by(job)`},
		`rate(a[5m])`:                      {`rate(a[5m])`},
	} {
		got, err := conditionOperands(promql)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", promql, err, diff)
		}
	}
}
