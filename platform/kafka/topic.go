package kafka

import (
	"context"
	"errors"
	"fmt"

	"github.com/IBM/sarama"
)

// TopicError says that a topic is not what the configuration expects. Waiting
// does not help: an operator has to change one or the other.
type TopicError struct {
	Topic string
	Want  int // partitions configured; 0 when any number would do
	Have  int // partitions there are; 0 when the topic does not exist
}

// Error says what is wrong and what to do about it.
func (e *TopicError) Error() string {
	switch {
	case e.Have == 0 && e.Want == 0:
		return fmt.Sprintf("topic %q does not exist: create it", e.Topic)
	case e.Have == 0:
		return fmt.Sprintf("topic %q does not exist: create it with %d partitions", e.Topic, e.Want)
	}
	return fmt.Sprintf("topic %q has %d partitions but %d are configured: "+
		"keys would change their partition, so set the number that the topic has", e.Topic, e.Have, e.Want)
}

// CheckTopic asks Kafka whether topic has cfg.Partitions partitions; with 0 it
// only has to exist. The error is a *TopicError when it is otherwise, and
// another one when Kafka could not be asked before ctx ended.
func CheckTopic(ctx context.Context, cfg Config, topic string) error {
	conn, err := connect(cfg)
	if err != nil {
		return fmt.Errorf("check topic %q: %w", topic, err)
	}
	defer conn.close()
	defer conn.abortOn(ctx)()
	err = checkTopic(conn, topic, cfg.Partitions)
	if ctx.Err() != nil {
		err = errors.Join(ctx.Err(), err)
	}
	if err != nil {
		return fmt.Errorf("check topic %q: %w", topic, err)
	}
	return nil
}

// checkTopic gives a topic a second to turn up: a broker that has just started
// may answer before it knows them all.
func checkTopic(client sarama.Client, topic string, want int) error {
	err := client.RefreshMetadata(topic)
	if errors.Is(err, sarama.ErrUnknownTopicOrPartition) || errors.Is(err, sarama.ErrInvalidTopic) {
		return &TopicError{Topic: topic, Want: want}
	}
	if err != nil {
		return err
	}
	return checkPartitions(client, topic, want)
}

// checkPartitions judges by what the client knows already.
func checkPartitions(client sarama.Client, topic string, want int) error {
	partitions, err := client.Partitions(topic)
	if err != nil {
		return err
	}
	if want != 0 && len(partitions) != want {
		return &TopicError{Topic: topic, Want: want, Have: len(partitions)}
	}
	return nil
}
