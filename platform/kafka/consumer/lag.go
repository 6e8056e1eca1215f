package consumer

import (
	"context"
	"maps"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// lag is a Prometheus collector of how far this member's partitions are behind. It uses
// ends that are requested for it. Sarama's high watermark does not move while a
// partition is held, which is when the lag matters, and counts records of open
// transactions, which no reader gets.
type lag struct {
	desc *prometheus.Desc

	mu        sync.Mutex
	ends      map[int32]int64 // the topic's last stable offsets, as requested last
	positions map[int32]int64 // of this member's partitions: the first record that is not done
}

// lagInterval is how often the log's ends are requested.
const lagInterval = 2 * time.Second

func newLag(labels prometheus.Labels) *lag {
	return &lag{
		desc: prometheus.NewDesc("kafka_consumer_lag_records",
			"Records not done with yet, by partition that this member holds.", []string{"partition"}, labels),
		positions: make(map[int32]int64),
	}
}

// track requests the ends in each interval until ctx ends. If a request fails, the last
// ends stay.
func (l *lag) track(ctx context.Context, requestEnds func(context.Context) (map[int32]int64, error)) {
	ticker := time.NewTicker(lagInterval)
	defer ticker.Stop()
	for {
		limited, cancel := context.WithTimeout(ctx, lagInterval)
		ends, err := requestEnds(limited)
		cancel()
		if err == nil {
			l.mu.Lock()
			l.ends = ends
			l.mu.Unlock()
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// logEnd is the partition's last stable offset, as requested last; false before the
// first response.
func (l *lag) logEnd(partition int32) (end int64, known bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	end, known = l.ends[partition]
	return end, known
}

func (l *lag) setPosition(partition int32, position int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.positions[partition] = position
}

// removePartition forgets a partition that this member no longer has.
func (l *lag) removePartition(partition int32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.positions, partition)
}

// Describe implements prometheus.Collector.
func (l *lag) Describe(descs chan<- *prometheus.Desc) { descs <- l.desc }

// Collect implements prometheus.Collector.
func (l *lag) Collect(metrics chan<- prometheus.Metric) {
	for partition, records := range l.records() {
		metrics <- prometheus.MustNewConstMetric(l.desc, prometheus.GaugeValue, float64(records), strconv.Itoa(int(partition)))
	}
}

// records leaves out partitions whose end is not known yet.
func (l *lag) records() map[int32]int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	records := maps.Clone(l.positions)
	for partition, position := range records {
		if end, known := l.ends[partition]; known {
			records[partition] = max(end-position, 0) // the position may be newer than the end
		} else {
			delete(records, partition)
		}
	}
	return records
}
