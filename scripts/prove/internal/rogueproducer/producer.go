// Package rogueproducer implements a faulty producer: it writes poison records, which no consumer
// can handle, and copies of records that are in the topic already.
package rogueproducer

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/twmb/franz-go/pkg/kgo"

	"example.com/todo/contracts/event"
	"example.com/todo/scripts/prove/internal/history"
)

// lateWriteTimeout bounds a write that is in flight when its context ends. It may succeed, and
// its record must then be in the history.
const lateWriteTimeout = time.Minute

// Producer writes poison and copies. One goroutine may write poison and one copies.
type Producer struct {
	brokers      []string
	client       *kgo.Client
	poisonRandom *rand.Rand // for poison
	copyRandom   *rand.Rand // for copies
	serial       int64      // makes poison records unique

	mu     sync.Mutex
	poison []history.InjectedRecord
	copies []history.InjectedRecord
}

// New returns a Producer without connecting. The client is idempotent: a retried write adds one
// record.
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
		return nil, fmt.Errorf("rogue producer: %w", err)
	}
	return &Producer{
		brokers: brokers, client: client,
		poisonRandom: rand.New(rand.NewPCG(uint64(seed), 1)), copyRandom: rand.New(rand.NewPCG(uint64(seed), 2)),
	}, nil
}

// FillTopic writes the given number of events without an effect to each partition. It uses a
// client of its own, because the topic is about to be replaced and a client remembers the old
// one.
func FillTopic(ctx context.Context, brokers []string, partitions, each int) error {
	client, err := kgo.NewClient(options(brokers)...)
	if err != nil {
		return err
	}
	defer client.Close()
	var records []*kgo.Record
	for n := range partitions * each {
		id := uuid.NewString()
		value := fmt.Appendf(nil, `{"id":"%s","type":"task.created","task_id":%d,"task_title":"Old","timestamp":"%s"}`,
			id, firstTaskID+int64(n), time.Now().UTC().Format(time.RFC3339))
		records = append(records, &kgo.Record{Topic: event.Topic, Partition: int32(n), Key: []byte(id), Value: value})
	}
	if err := client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		return fmt.Errorf("fill %s: %w", event.Topic, err)
	}
	return nil
}

// options are common to all clients.
func options(brokers []string) []kgo.Opt {
	return []kgo.Opt{
		kgo.SeedBrokers(brokers...),
		kgo.RecordPartitioner(kgo.BasicConsistentPartitioner(namedPartition)),
		// Reconnect soon after a broker was frozen or killed.
		kgo.RetryTimeout(0),
		kgo.RetryBackoffFn(func(int) time.Duration { return 250 * time.Millisecond }),
		kgo.MetadataMinAge(250 * time.Millisecond),
	}
}

// Close closes the connections.
func (p *Producer) Close() { p.client.Close() }

// Poison returns the poison written so far, in order.
func (p *Producer) Poison() []history.InjectedRecord {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.poison)
}

// Copies returns the copies written so far.
func (p *Producer) Copies() []history.InjectedRecord {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.copies)
}

// write writes records and returns the acknowledged ones, with their positions. After ctx has
// ended it goes on for up to lateWriteTimeout.
func (p *Producer) write(ctx context.Context, records []*kgo.Record) ([]*kgo.Record, error) {
	writeCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(lateWriteTimeout, cancel) })
	defer stop()
	var written []*kgo.Record
	results := p.client.ProduceSync(writeCtx, records...)
	for _, result := range results {
		if result.Err == nil {
			written = append(written, result.Record)
		}
	}
	if err := results.FirstErr(); err != nil {
		return written, fmt.Errorf("rogue producer: write to %s: %w", event.Topic, err)
	}
	return written, nil
}

// namedPartition assigns a record to the partition that it names, modulo the number of
// partitions.
func namedPartition(string) func(*kgo.Record, int) int {
	return func(r *kgo.Record, n int) int { return int(r.Partition) % n }
}

func injectedRecord(r *kgo.Record, kind string) history.InjectedRecord {
	return history.InjectedRecord{
		Kind: kind, Position: history.Position{Partition: r.Partition, Offset: r.Offset}, Key: r.Key, Value: r.Value,
	}
}
