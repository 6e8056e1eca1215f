package redis

import (
	"github.com/prometheus/client_golang/prometheus"
	goredis "github.com/redis/go-redis/v9"
)

// poolCollector collects the connection pool of a client at each scrape. With several
// servers the figures are their sums.
type poolCollector struct {
	client                goredis.UniversalClient
	connections, timeouts *prometheus.Desc
}

func newPoolCollector(client goredis.UniversalClient, labels prometheus.Labels) poolCollector {
	return poolCollector{
		client: client,
		connections: prometheus.NewDesc("redis_pool_connections",
			"Open connections of the pool for commands, by state: in_use or idle.", []string{"state"}, labels),
		timeouts: prometheus.NewDesc("redis_pool_timeouts_total",
			"Times that no connection of the pool became free in time.", nil, labels),
	}
}

func (c poolCollector) Describe(descs chan<- *prometheus.Desc) {
	descs <- c.connections
	descs <- c.timeouts
}

func (c poolCollector) Collect(metrics chan<- prometheus.Metric) {
	stats := c.client.PoolStats()
	idle := float64(stats.IdleConns)
	// The client counts both without a common lock: idle may be newer than the total.
	inUse := max(0, float64(stats.TotalConns)-idle)
	metrics <- prometheus.MustNewConstMetric(c.connections, prometheus.GaugeValue, inUse, "in_use")
	metrics <- prometheus.MustNewConstMetric(c.connections, prometheus.GaugeValue, idle, "idle")
	metrics <- prometheus.MustNewConstMetric(c.timeouts, prometheus.CounterValue, float64(stats.Timeouts))
}
