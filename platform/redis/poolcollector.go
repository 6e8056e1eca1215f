package redis

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	goredis "github.com/redis/go-redis/v9"
)

// statsTimeout bounds the wait for the figures of a cluster's pools.
const statsTimeout = 300 * time.Millisecond

// poolCollector collects the connection pool of a client at each scrape. With several
// servers the figures are their sums. They are absent while a cluster does not answer.
type poolCollector struct {
	client                goredis.UniversalClient
	reading               chan struct{} // holds an element while a goroutine reads the figures
	connections, timeouts *prometheus.Desc
}

func newPoolCollector(client goredis.UniversalClient, labels prometheus.Labels) poolCollector {
	return poolCollector{
		client:  client,
		reading: make(chan struct{}, 1),
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
	stats := c.readStats()
	if stats == nil {
		return
	}
	idle := float64(stats.IdleConns)
	// The client counts both without a common lock: idle may be newer than the total.
	inUse := max(0, float64(stats.TotalConns)-idle)
	metrics <- prometheus.MustNewConstMetric(c.connections, prometheus.GaugeValue, inUse, "in_use")
	metrics <- prometheus.MustNewConstMetric(c.connections, prometheus.GaugeValue, idle, "idle")
	metrics <- prometheus.MustNewConstMetric(c.timeouts, prometheus.CounterValue, float64(stats.Timeouts))
}

// readStats returns the figures of the pool, or nil after statsTimeout.
func (c poolCollector) readStats() *goredis.PoolStats {
	// The client of a cluster asks its servers for the topology first, without a context. A
	// goroutine that waits for frozen servers outlives the scrape, and a later scrape must
	// not add another one.
	timeout := time.After(statsTimeout)
	select {
	case c.reading <- struct{}{}:
	case <-timeout:
		return nil
	}
	read := make(chan *goredis.PoolStats, 1)
	go func() {
		defer func() { <-c.reading }()
		read <- c.client.PoolStats()
	}()
	select {
	case stats := <-read:
		return stats
	case <-timeout:
		return nil
	}
}
