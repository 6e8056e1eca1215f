package rogueproducer

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/twmb/franz-go/pkg/kgo"

	"example.com/todo/contracts/event"
	"example.com/todo/platform/failpoint"
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

const (
	// A batch has batchRecords of batchValue bytes. Its 72 MiB exceed what a consumer decompresses.
	batchRecords = 3
	batchValue   = 24 << 20
	// largeTitleBytes makes an event larger than a consumer accepts, in a record that the topic
	// accepts.
	largeTitleBytes = 1_000_000
	// firstTaskID is above every task id of the run.
	firstTaskID = int64(1) << 50
	// kindHeader has the kind of a poison record.
	kindHeader = "planted"
)

// WritePoison writes one record of each kind, in random order and to random partitions. It
// returns when the broker has acknowledged all.
func (p *Producer) WritePoison(ctx context.Context) error {
	kinds := Kinds()
	var records []*kgo.Record
	for _, i := range p.poisonRandom.Perm(len(kinds)) {
		records = append(records, p.newPoison(kinds[i], p.drawPartition()))
	}
	written, err := p.write(ctx, records)
	p.addPoison(written)
	return err
}

// WriteUndecodableBatch writes one batch that no consumer can decode to a random partition. It
// returns when the broker has acknowledged it.
func (p *Producer) WriteUndecodableBatch(ctx context.Context) error {
	partition := p.drawPartition()
	var records []*kgo.Record
	for range batchRecords {
		records = append(records, p.newPoison(history.UndecodableBatch, partition))
	}
	if err := onebatch.Send(ctx, options(p.brokers), kgo.GzipCompression(), records...); err != nil {
		return fmt.Errorf("rogue producer: write a batch to %s: %w", event.Topic, err)
	}
	p.addPoison(records)
	return nil
}

func (p *Producer) drawPartition() int32 { return p.poisonRandom.Int32N(math.MaxInt32) }

func (p *Producer) newPoison(kind string, partition int32) *kgo.Record {
	p.serial++
	task := firstTaskID + p.serial
	return &kgo.Record{
		Topic: event.Topic, Partition: partition, Key: []byte(event.Key(task)), Value: p.poisonValue(kind, task),
		Headers: []kgo.RecordHeader{{Key: kindHeader, Value: []byte(kind)}},
	}
}

// poisonValue returns a value of that kind: an event with one defect, or no event at all.
func (p *Producer) poisonValue(kind string, task int64) []byte {
	title, taskID := "Planted", strconv.FormatInt(task, 10)
	switch kind {
	case history.UndecodableBatch:
		return append(bytes.Repeat([]byte("b"), batchValue), taskID...)
	case NullValue:
		return nil
	case WrongTypes:
		taskID = strconv.Quote(taskID)
	case TooLarge:
		title = strings.Repeat("large ", largeTitleBytes/6)
	case BadUTF8:
		title = "\xff\xfe"
	case HandlerPanic:
		title = failpoint.Panics
	case ProcessKill:
		title = failpoint.Kills
	}
	now := time.Now().UTC().Format(time.RFC3339Nano)
	value := fmt.Appendf(nil, `{"id":"%s","type":"task.completed","task_id":%s,"task_title":"%s","timestamp":"%s",`+
		`"task":{"id":%d,"title":"Planted","priority":0,"done":true,"created_at":"%s","completed_at":"%s","version":2}}`,
		uuid.Must(uuid.NewV7()), taskID, title, now, task, now, now)
	if kind == BadJSON {
		return value[:1+p.poisonRandom.IntN(len(value)-1)]
	}
	return value
}

func (p *Producer) addPoison(records []*kgo.Record) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range records {
		p.poison = append(p.poison, injectedRecord(r, header(r, kindHeader)))
	}
}
