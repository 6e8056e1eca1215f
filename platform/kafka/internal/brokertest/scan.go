package brokertest

import (
	"context"
	"testing"

	"example.com/todo/platform/kafka"
	"example.com/todo/platform/kafka/reader"
)

// Visited keeps what a scan handed over.
type Visited struct {
	Records map[int32][]kafka.Record
	Batches int

	t *testing.T
}

// NewVisited returns a Visited without records, whose Visit fails the test if a batch is
// not as Scan promises.
func (w Env) NewVisited(t *testing.T) *Visited {
	return &Visited{t: t, Records: make(map[int32][]kafka.Record)}
}

// Scan reads the topic from these offsets on.
func (w Env) Scan(t *testing.T, from map[int32]int64) (*Visited, map[int32]int64) {
	t.Helper()
	visited := w.NewVisited(t)
	next, err := reader.Scan(TimeoutContext(t), w.Config(), w.Topic, from, visited.Visit)
	if err != nil {
		t.Fatal(err)
	}
	return visited, next
}

// Visit keeps the batch.
func (v *Visited) Visit(_ context.Context, batch []kafka.Record) error {
	v.Batches++
	if len(batch) == 0 || len(batch) > 1000 {
		v.t.Errorf("a batch of %d records", len(batch))
	}
	for _, record := range batch {
		if record.Partition != batch[0].Partition {
			v.t.Error("a batch of several partitions")
		}
		v.Records[record.Partition] = append(v.Records[record.Partition], record)
	}
	return nil
}

// Offsets returns the offsets by partition, in the order of the visits.
func (v *Visited) Offsets() map[int32][]int64 {
	offsets := make(map[int32][]int64)
	for partition, records := range v.Records {
		for _, record := range records {
			offsets[partition] = append(offsets[partition], record.Offset)
		}
	}
	return offsets
}
