// Package rogueproducer writes to the topic what no producer of the system's would:
// records that no consumer can handle, and records that are there already.
package rogueproducer

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"example.com/todo/contracts/event"
	"example.com/todo/scripts/prove/internal/history"
)

// groups are those whose dead letter all poison becomes.
var groups = []string{"notification-service", "stats-service"}

// lateWriteTimeout is how long a write that is under way gets when the planter is to
// stop: one that was begun is better written down.
const lateWriteTimeout = time.Minute

// Producer writes to the topic. It is used by one goroutine for Poison and one for
// Copy at most.
type Producer struct {
	brokers      []string
	client       *kgo.Client
	poisonRandom *rand.Rand // of Poison
	copyRandom   *rand.Rand // of Copy
	serial       int64      // of poison, so that no two are alike

	mu            sync.Mutex
	poison        []history.InjectedRecord
	copies        []history.InjectedRecord
	copyPositions map[position]bool // where copies are
}

type position struct {
	partition int32
	offset    int64
}

// New returns a planter, which connects when it is first used. It writes each
// record once, however often it has to try.
func New(brokers []string, seed int64) (*Producer, error) {
	client, err := kgo.NewClient(append(options(brokers),
		kgo.ConsumeTopics(event.Topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.ProducerBatchCompression(kgo.NoCompression()),
		kgo.ProducerBatchMaxBytes(1<<20),
		kgo.ProducerLinger(0),
		kgo.FetchMaxWait(500*time.Millisecond),
	)...)
	if err != nil {
		return nil, fmt.Errorf("planter: %w", err)
	}
	return &Producer{
		brokers: brokers, client: client,
		poisonRandom: rand.New(rand.NewPCG(uint64(seed), 1)), copyRandom: rand.New(rand.NewPCG(uint64(seed), 2)),
		copyPositions: map[position]bool{},
	}, nil
}

// options are those of every client.
func options(brokers []string) []kgo.Opt {
	return []kgo.Opt{
		kgo.SeedBrokers(brokers...),
		kgo.RecordPartitioner(kgo.BasicConsistentPartitioner(namedPartition)),
		// A broker that was frozen or killed is found again soon.
		kgo.RetryTimeout(0),
		kgo.RetryBackoffFn(func(int) time.Duration { return 250 * time.Millisecond }),
		kgo.MetadataMinAge(250 * time.Millisecond),
	}
}

// Close gives the connections back.
func (p *Producer) Close() { p.client.Close() }

// Poison returns the poison so far, in the order of planting.
func (p *Producer) Poison() []history.InjectedRecord {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.poison)
}

// Copies returns the copies so far.
func (p *Producer) Copies() []history.InjectedRecord {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.copies)
}

// write writes records and returns those that were acknowledged, with their
// places. Once begun it goes on for a while after ctx has ended.
func (p *Producer) write(ctx context.Context, records []*kgo.Record) ([]*kgo.Record, error) {
	patient, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(lateWriteTimeout, cancel) })
	defer stop()
	var written []*kgo.Record
	results := p.client.ProduceSync(patient, records...)
	for _, result := range results {
		if result.Err == nil {
			written = append(written, result.Record)
		}
	}
	if err := results.FirstErr(); err != nil {
		return written, fmt.Errorf("planter: write to %s: %w", event.Topic, err)
	}
	return written, nil
}

// namedPartition is the partition that a record names, as far as there are so many.
func namedPartition(string) func(*kgo.Record, int) int {
	return func(r *kgo.Record, n int) int { return int(r.Partition) % n }
}

func injectedRecord(r *kgo.Record, kind string) history.InjectedRecord {
	return history.InjectedRecord{Kind: kind, Partition: r.Partition, Offset: r.Offset, Key: r.Key, Value: r.Value, At: time.Now()}
}
