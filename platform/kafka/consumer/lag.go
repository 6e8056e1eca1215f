package consumer

import (
	"strconv"
	"sync"

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

func newLag(labels prometheus.Labels) *lag {
	return &lag{
		desc: prometheus.NewDesc("kafka_consumer_lag_records",
			"Records not done with yet, by partition that this member holds.", []string{"partition"}, labels),
		positions: make(map[int32]int64),
	}
}

func (l *lag) setEnds(ends map[int32]int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ends = ends
}

// logEnd is the partition's last stable offset, as requested last; 0 before the first
// response.
func (l *lag) logEnd(partition int32) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ends[partition]
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

// Collect implements prometheus.Collector. It leaves out partitions whose end is not known
// yet.
func (l *lag) Collect(metrics chan<- prometheus.Metric) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for partition, position := range l.positions {
		if end, known := l.ends[partition]; known {
			records := max(end-position, 0) // the position may be newer than the end
			label := strconv.Itoa(int(partition))
			metrics <- prometheus.MustNewConstMetric(l.desc, prometheus.GaugeValue, float64(records), label)
		}
	}
}
