// Package observability executes every expression of the dashboards, the recording rules and
// the alerts against a real Prometheus that scrapes the running system.
//
// The test starts a system of its own on free ports, with the embedded Kafka, and Prometheus
// with the configuration in compose/prometheus, whose targets alone are replaced. A workload
// makes requests of every kind; faults fill the series that a healthy system does not have.
// Each expression must give at least one finite value. At the end the count of completions
// in the database, GET /stats, the gauge and the panel that reads /stats must agree.
//
// Grafana is not started. Of its plugin for /stats, this package repeats what the target
// uses: the request, the root selector and the columns, both paths of gjson, as the plugin's
// backend parser applies them.
//
// With -args -picture FILE the test also draws the first rows of the dashboard, as SVG, from
// the dashboard's JSON and the data of the run.
package observability
