package kafka

import (
	"context"
	"maps"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// lagInterval is how often Kafka is asked where the log ends.
const lagInterval = 2 * time.Second

// lag is a collector of how far the partitions that this member holds are
// behind. It goes by ends that were asked for: Sarama's high-water mark stands
// still while a partition is held, which is when the lag matters, and counts the
// records of open transactions, which no reader is given.
type lag struct {
	desc *prometheus.Desc

	mu        sync.Mutex
	ends      map[int32]int64 // last stable offsets of the topic's partitions, as last heard
	positions map[int32]int64 // of the partitions held: the first record not done with
}

func newLag(labels prometheus.Labels) *lag {
	return &lag{
		desc: prometheus.NewDesc("kafka_consumer_lag_records",
			"Records not done with yet, by partition that this member holds.", []string{"partition"}, labels),
		positions: make(map[int32]int64),
	}
}

// track asks for the ends, round by round, until ctx ends. When there is no
// answer the ends last heard stay.
func (l *lag) track(ctx context.Context, ask func(context.Context) (map[int32]int64, error)) {
	ticker := time.NewTicker(lagInterval)
	defer ticker.Stop()
	for {
		asking, cancel := context.WithTimeout(ctx, lagInterval)
		ends, err := ask(asking)
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

// endSession is the partition's last stable offset as last heard; false before any was.
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

// removePartition forgets a partition that is no longer held.
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

// Records leaves out partitions of which the end is not known yet. A position
// may be newer than the end.
func (l *lag) records() map[int32]int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	records := maps.Clone(l.positions)
	for partition, position := range records {
		if end, known := l.ends[partition]; known {
			records[partition] = max(end-position, 0)
		} else {
			delete(records, partition)
		}
	}
	return records
}
