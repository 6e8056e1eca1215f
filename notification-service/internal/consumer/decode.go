package consumer

import (
	"fmt"

	"example.com/todo/contracts/event"
	"example.com/todo/notification-service/internal/notify"
	"example.com/todo/platform/kafka"
)

// decodedRecord is a record and the event that it holds.
type decodedRecord struct {
	record      kafka.Record
	redelivered bool // handled before: what it holds was not looked at
	event       event.Event
}

// decodeBatch reads the batch up to a record that is not readable, which the error is
// about. Those below known were handled before.
func decodeBatch(batch []kafka.Record, known int64) ([]decodedRecord, error) {
	readings := make([]decodedRecord, 0, len(batch))
	for _, record := range batch {
		r := decodedRecord{record: record, redelivered: record.Offset < known}
		if !r.redelivered {
			var err error
			if r.event, err = event.Parse(record.Value); err != nil {
				return readings, err
			}
		}
		readings = append(readings, r)
	}
	return readings, nil
}

// isForDomain tells whether the event is one for the domain.
func (r decodedRecord) isForDomain() bool { return !r.redelivered && r.event.Known() }

func (r decodedRecord) domainEvent() notify.Event {
	return notify.Event{
		Type:        r.event.Type,
		DedupKey:    r.event.Identity(),
		ID:          r.event.ID,
		TaskID:      r.event.TaskID,
		TaskTitle:   r.event.TaskTitle,
		Timestamp:   r.event.Timestamp,
		Position:    fmt.Sprintf("%d:%d", r.record.Partition, r.record.Offset),
		Traceparent: r.record.Header(event.HeaderTraceparent),
	}
}
