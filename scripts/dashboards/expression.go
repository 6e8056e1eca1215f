package main

import (
	"fmt"
	"strings"
)

// selector returns the series of a metric on the chosen instances that match all matchers.
func selector(metric string, matchers ...string) string {
	return metric + "{" + strings.Join(append([]string{`instance=~"$instance"`}, matchers...), ", ") + "}"
}

// rate returns the increase of a counter per second.
func rate(metric string, matchers ...string) string {
	return "rate(" + selector(metric, matchers...) + "[$__rate_interval])"
}

// sum returns the sum by labels, separated by commas; "" is the sum of all.
func sum(by, expr string) string { return aggregate("sum", by, expr) }

// maximum returns the greatest value by labels.
func maximum(by, expr string) string { return aggregate("max", by, expr) }

func aggregate(operator, by, expr string) string {
	if by == "" {
		return operator + "(" + expr + ")"
	}
	return operator + " by (" + by + ") (" + expr + ")"
}

// quantile returns the q-quantile of a histogram by labels.
func quantile(q float64, by, histogram string, matchers ...string) string {
	return fmt.Sprintf("histogram_quantile(%g, %s)", q, sum(strings.TrimSuffix("le, "+by, ", "), rate(histogram+"_bucket", matchers...)))
}

// quantiles returns the median, the 95th and the 99th percentile of a histogram over all its series.
func quantiles(histogram string, matchers ...string) []query {
	return []query{
		{quantile(0.5, "", histogram, matchers...), "p50"},
		{quantile(0.95, "", histogram, matchers...), "p95"},
		{quantile(0.99, "", histogram, matchers...), "p99"},
	}
}

// share returns part of the whole, from 0 to 1; a part without series counts as 0.
func share(part, whole string) string { return "(" + part + " or vector(0)) / " + whole }

// total returns a + b; one that has no series counts as 0.
func total(a, b string) string {
	return "(" + a + " or 0 * " + b + ") + (" + b + " or 0 * " + a + ")"
}
