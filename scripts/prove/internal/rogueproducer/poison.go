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
	BadJSON    = "bad JSON"
	WrongTypes = "wrong types"
	TooLarge   = "too large"
	BadUTF8    = "bad UTF-8"
	NullValue  = "null value"
	Panics     = "handler panic"
	Kills      = "process kill"
)

// Kinds returns all kinds of poison.
func Kinds() []string {
	return []string{BadJSON, WrongTypes, TooLarge, BadUTF8, NullValue, Panics, Kills}
}

// batchRecords of batchValue bytes unpack to more than a consumer takes: 72 MiB.
const (
	batchRecords = 3
	batchValue   = 24 << 20
)

// What the services' crash points look for in a value, under their build tag.
const (
	panics = "failpoint: this record panics"
	kills  = "failpoint: this record kills"
)

const (
	// large is a title that makes an event too large for any consumer, in a record
	// that is not too large for the topic.
	large = 1_000_000
	// foreign is where the ids of poison's tasks begin: no task of the run has one.
	foreign = int64(1) << 50
)

// Poison plants one record of each kind, in any order and on any partitions, and
// returns when all are acknowledged.
func (p *Planter) Poison(ctx context.Context) error {
	kinds := Kinds()
	p.random.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
	for _, kind := range kinds {
		if err := p.plant(ctx, kind, p.random.Int32N(math.MaxInt32)); err != nil {
			return err
		}
	}
	return nil
}

// Batch plants one batch that no consumer can decode, on any partition, and returns
// when it is acknowledged.
func (p *Planter) Batch(ctx context.Context) error {
	partition := p.random.Int32N(math.MaxInt32)
	var records []*kgo.Record
	for range batchRecords {
		p.serial++
		value := fmt.Appendf(bytes.Repeat([]byte("b"), batchValue), "%d", p.serial)
		records = append(records, &kgo.Record{Topic: event.Topic, Partition: partition, Key: []byte(event.Key(foreign + p.serial)), Value: value})
	}
	if err := onebatch.Send(ctx, options(p.brokers), kgo.GzipCompression(), records...); err != nil {
		return fmt.Errorf("planter: write a batch to %s: %w", event.Topic, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, record := range records {
		planted := note(record, history.UndecodableBatch)
		planted.Groups = groups
		p.planted = append(p.planted, planted)
	}
	return nil
}

func (p *Planter) plant(ctx context.Context, kind string, partition int32) error {
	p.serial++
	task := foreign + p.serial
	written, err := p.write(ctx, []*kgo.Record{{
		Topic: event.Topic, Partition: partition, Key: []byte(event.Key(task)), Value: p.value(kind, task),
		Headers: []kgo.RecordHeader{{Key: "planted", Value: []byte(kind)}},
	}})
	if err != nil {
		return fmt.Errorf("%s: %w", kind, err)
	}
	planted := note(written[0], kind)
	planted.Groups = groups
	p.mu.Lock()
	defer p.mu.Unlock()
	p.planted = append(p.planted, planted)
	return nil
}

// value is a value of that kind. But for what is wrong with it, it is an event.
func (p *Planter) value(kind string, task int64) []byte {
	title := map[string]string{
		TooLarge: strings.Repeat("large ", large/6), BadUTF8: "\xff\xfe", Panics: panics, Kills: kills,
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
		return []byte(whole[:1+p.random.IntN(len(whole)-1)])
	case WrongTypes:
		return []byte(strings.Replace(whole, fmt.Sprintf(`"task_id":%d`, task), fmt.Sprintf(`"task_id":"%d"`, task), 1))
	}
	return []byte(whole)
}
