package deadletter

import (
	"context"
	"errors"
	"fmt"
	"io"

	"example.com/todo/platform/command"
	"example.com/todo/platform/kafka"
	"example.com/todo/platform/kafka/reader"
)

// Queue is the dead-letter queue of a service.
type Queue struct {
	Kafka      kafka.Config
	Topic      string // the dead-letter topic
	Group      string // the consumer group that the commands select without --group
	TypeHeader string // the header that holds a record's type
}

// cli is one execution of a command.
type cli struct {
	Queue
	out, errOut io.Writer // results; summaries and warnings

	reported map[string]bool // warnings about undecodable batches
}

// scan calls visit for each record of the topic, in each partition from the offset in from. A nil from is
// the beginning. An error of visit ends the scan and is returned; reader.SkipPartition skips a partition.
func (c *cli) scan(ctx context.Context, topic string, from map[int32]int64, visit func(kafka.Record) error) error {
	var visitErr error
	_, err := reader.Scan(ctx, c.Kafka, topic, from, func(_ context.Context, batch []kafka.Record) error {
		for _, record := range batch {
			if record.Undecodable != nil {
				c.reportUndecodable(record)
				continue
			}
			if visitErr = visit(record); visitErr != nil {
				return visitErr
			}
		}
		return nil
	})
	if err == nil || visitErr != nil && errors.Is(err, visitErr) {
		return err
	}
	return explainKafkaError(ctx, err)
}

// reportUndecodable prints once that a batch is skipped, because it cannot be decoded.
func (c *cli) reportUndecodable(record kafka.Record) {
	warning := fmt.Sprintf("skipped in topic %s, partition %d: %s", record.Topic, record.Partition, singleLine(record.Undecodable))
	if !c.reported[warning] {
		c.reported[warning] = true
		fmt.Fprintf(c.errOut, "%s\n", warning)
	}
}

// explainKafkaError returns err as a usage error of one line that says what to check. If ctx has ended,
// the operator interrupted the command, which is no usage error.
func explainKafkaError(ctx context.Context, err error) error {
	var missing *kafka.TopicError
	switch {
	case ctx.Err() != nil:
		return errors.New("interrupted")
	case errors.As(err, &missing):
		return command.UsageError(fmt.Errorf("%w, or name another Kafka in the setting kafka.brokers", missing))
	}
	return command.UsageError(errors.New(singleLine(err) + "; is it running, and does the setting kafka.brokers name it?"))
}
