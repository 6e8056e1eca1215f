package consumer

import (
	"fmt"

	"example.com/todo/contracts/event"
	"example.com/todo/notification-service/internal/notify"
	"example.com/todo/platform/kafka"
)

// decodedRecord is a record and its event. The value of a redelivered record is
// not decoded.
type decodedRecord struct {
	record      kafka.Record
	redelivered bool // below the stored offset
	event       event.Event
}

// decodeBatch returns the records before the first one that cannot be decoded,
// and the error about that one. Records below handledBelow are redelivered.
func decodeBatch(batch []kafka.Record, handledBelow int64) ([]decodedRecord, error) {
	decoded := make([]decodedRecord, 0, len(batch))
	for _, record := range batch {
		r := decodedRecord{record: record, redelivered: record.Offset < handledBelow}
		if !r.redelivered {
			var err error
			if r.event, err = event.Parse(record.Value); err != nil {
				return decoded, err
			}
		}
		decoded = append(decoded, r)
	}
	return decoded, nil
}

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
