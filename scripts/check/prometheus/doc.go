// Package prometheus checks the rules of Prometheus: promtool accepts and tests them, each alert and each recording
// rule has a test, an alert's link leads to its section of the runbook, and each metric in an expression is one that
// the code registers.
package prometheus
