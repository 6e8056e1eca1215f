package outbox

import (
	"context"
	"fmt"

	"example.com/todo/contracts/event"
	"example.com/todo/platform/failpoint"
	"example.com/todo/platform/kafka"
	"example.com/todo/todo-service/internal/eventcodec"
	"example.com/todo/todo-service/internal/task"
)

// ToKafka returns a Sender that publishes to the topic task-events. It encodes the whole
// batch before it calls send, which writes the records: an event that cannot be encoded
// leaves no part of its batch in Kafka.
func ToKafka(send func(context.Context, []kafka.Record) error) Sender {
	return func(ctx context.Context, batch []task.Announcement) error {
		records := make([]kafka.Record, len(batch))
		for i, a := range batch {
			r, err := toRecord(a)
			if err != nil {
				return fmt.Errorf("encoding event %s: %w", a.Event.ID, err)
			}
			records[i] = r
		}
		if err := send(ctx, records); err != nil {
			return err
		}
		failpoint.Hit(failpoint.AfterProduce, batch[0].Event.ID)
		return nil
	}
}

// toRecord returns the Kafka record of an announcement. Its key is the task, which
// keeps the events of a task in one partition and so in order.
func toRecord(a task.Announcement) (kafka.Record, error) {
	e := a.Event
	value, err := eventcodec.ToContract(e).Marshal()
	if err != nil {
		return kafka.Record{}, err
	}
	headers := []kafka.Header{
		{Key: event.HeaderType, Value: string(e.Type)},
		{Key: event.HeaderService, Value: event.Service},
		{Key: event.HeaderID, Value: e.ID},
	}
	if a.Traceparent != "" {
		headers = append(headers, kafka.Header{Key: event.HeaderTraceparent, Value: a.Traceparent})
	}
	return kafka.Record{Topic: event.Topic, Key: []byte(event.Key(e.Task.ID)), Value: value, Headers: headers, Time: e.At}, nil
}
