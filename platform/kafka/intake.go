package kafka

import (
	"context"

	"github.com/IBM/sarama"
)

// What one call of Handle gets: at most batchRecords, and no more once they
// weigh handleBytes.
const (
	batchRecords = 500
	handleBytes  = 4 << 20
)

// gather collects the next batch while the handler works on the last one. It
// hands over what is there as soon as it is wanted, and waits for no more. The
// channel is closed when ctx ends or the source is closed; what was gathered by
// then is not lost, because nobody marked it.
//
// Sarama's own reading ahead is off: it is bounded in records of any size.
func gather(ctx context.Context, source <-chan *sarama.ConsumerMessage) <-chan []Record {
	batches := make(chan []Record)
	go func() {
		defer close(batches)
		var batch []Record
		size := 0
		for {
			in, out := source, batches
			if len(batch) == 0 {
				out = nil
			}
			if len(batch) == batchRecords || size >= handleBytes {
				in = nil
			}
			var message *sarama.ConsumerMessage
			open := true
			select {
			case message, open = <-in:
			default:
				select {
				case message, open = <-in:
				case out <- batch:
					batch, size = nil, 0
				case <-ctx.Done():
					return
				}
			}
			if !open {
				return
			}
			if message != nil {
				record := received(message)
				batch = append(batch, record)
				size += weight(record)
			}
		}
	}()
	return batches
}
