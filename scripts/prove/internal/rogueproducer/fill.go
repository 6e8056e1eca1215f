package rogueproducer

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/twmb/franz-go/pkg/kgo"

	"example.com/todo/contracts/event"
)

// FillTopic writes the given number of events without an effect to each partition. It uses a
// client of its own, because the topic is about to be replaced and a client remembers the old
// one.
func FillTopic(ctx context.Context, brokers []string, partitions, each int) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		return err
	}
	defer client.Close()
	var records []*kgo.Record
	for partition := range partitions {
		for n := range each {
			id := uuid.NewString()
			value, err := json.Marshal(event.Event{
				ID: id, Type: event.Created, TaskID: firstTaskID + int64(n), TaskTitle: "of the old topic", Timestamp: time.Now().UTC(),
			})
			if err != nil {
				return err
			}
			records = append(records, &kgo.Record{Topic: event.Topic, Partition: int32(partition), Key: []byte(id), Value: value})
		}
	}
	if err := client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		return fmt.Errorf("fill %s: %w", event.Topic, err)
	}
	return nil
}
