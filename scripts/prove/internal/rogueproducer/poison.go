package rogueproducer

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/twmb/franz-go/pkg/kgo"

	"example.com/todo/contracts/event"
	"example.com/todo/platform/kafka/kafkatest/onebatch"
	"example.com/todo/scripts/prove/internal/history"
)

// The kinds of poison.
const (
	BadJSON      = "bad JSON"
	WrongTypes   = "wrong types"
	TooLarge     = "too large"
	BadUTF8      = "bad UTF-8"
	NullValue    = "null value"
	HandlerPanic = "handler panic"
	ProcessKill  = "process kill"
)

// Kinds returns all kinds of poison.
func Kinds() []string {
	return []string{BadJSON, WrongTypes, TooLarge, BadUTF8, NullValue, HandlerPanic, ProcessKill}
}

// A batch has batchRecords of batchValue bytes. Its 72 MiB exceed what a consumer decompresses.
const (
	batchRecords = 3
	batchValue   = 24 << 20
)

// The markers that the services' failpoints look for in a value, under their build tag.
const (
	panicMarker = "failpoint: this record panics"
	killMarker  = "failpoint: this record kills"
)

const (
	// largeTitleBytes makes an event larger than a consumer accepts, in a record that the topic
	// accepts.
	largeTitleBytes = 1_000_000
	// firstTaskID is above every task id of the run.
	firstTaskID = int64(1) << 50
)

// WritePoison writes one record of each kind, in random order and to random partitions. It
// returns when the broker has acknowledged all.
func (p *Producer) WritePoison(ctx context.Context) error {
	kinds := Kinds()
	p.poisonRandom.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
	for _, kind := range kinds {
		if err := p.writeOne(ctx, kind, p.poisonRandom.Int32N(math.MaxInt32)); err != nil {
			return err
		}
	}
	return nil
}

// WriteUndecodableBatch writes one batch that no consumer can decode to a random partition. It
// returns when the broker has acknowledged it.
func (p *Producer) WriteUndecodableBatch(ctx context.Context) error {
	partition := p.poisonRandom.Int32N(math.MaxInt32)
	var records []*kgo.Record
	for range batchRecords {
		p.serial++
		value := fmt.Appendf(bytes.Repeat([]byte("b"), batchValue), "%d", p.serial)
		records = append(records, &kgo.Record{Topic: event.Topic, Partition: partition, Key: []byte(event.Key(firstTaskID + p.serial)), Value: value})
	}
	if err := onebatch.Send(ctx, options(p.brokers), kgo.GzipCompression(), records...); err != nil {
		return fmt.Errorf("rogue producer: write a batch to %s: %w", event.Topic, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, record := range records {
		p.poison = append(p.poison, injectedRecord(record, history.UndecodableBatch))
	}
	return nil
}

func (p *Producer) writeOne(ctx context.Context, kind string, partition int32) error {
	p.serial++
	task := firstTaskID + p.serial
	written, err := p.write(ctx, []*kgo.Record{{
		Topic: event.Topic, Partition: partition, Key: []byte(event.Key(task)), Value: p.poisonValue(kind, task),
		Headers: []kgo.RecordHeader{{Key: "planted", Value: []byte(kind)}},
	}})
	if err != nil {
		return fmt.Errorf("%s: %w", kind, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.poison = append(p.poison, injectedRecord(written[0], kind))
	return nil
}

// poisonValue returns a value of that kind: an event with one defect.
func (p *Producer) poisonValue(kind string, task int64) []byte {
	title := map[string]string{
		TooLarge: strings.Repeat("large ", largeTitleBytes/6), BadUTF8: "\xff\xfe", HandlerPanic: panicMarker, ProcessKill: killMarker,
	}[kind]
	if title == "" {
		title = "Planted"
	}
	id, _ := uuid.NewV7()
	now := time.Now().UTC().Format(time.RFC3339Nano)
	whole := fmt.Sprintf(`{"id":"%s","type":"task.completed","task_id":%d,"task_title":"%s","timestamp":"%s",`+
		`"task":{"id":%d,"title":"Planted","priority":0,"done":true,"created_at":"%s","completed_at":"%s","version":2}}`,
		id, task, title, now, task, now, now)
	switch kind {
	case NullValue:
		return nil
	case BadJSON:
		return []byte(whole[:1+p.poisonRandom.IntN(len(whole)-1)])
	case WrongTypes:
		return []byte(strings.Replace(whole, fmt.Sprintf(`"task_id":%d`, task), fmt.Sprintf(`"task_id":"%d"`, task), 1))
	}
	return []byte(whole)
}
