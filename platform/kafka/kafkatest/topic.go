package kafkatest

import (
	"context"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Recreate deletes the topic and creates another one with the same name.
func (e Env) Recreate() {
	e.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(e.Kafka.Brokers...))
	if err != nil {
		e.Fatal(err)
	}
	defer client.Close()
	if err := deleteTopics(e.Context(), client, e.Topic); err != nil {
		e.Fatal(err)
	}
	create := kmsg.NewPtrCreateTopicsRequest()
	wanted := kmsg.NewCreateTopicsRequestTopic()
	wanted.Topic, wanted.NumPartitions, wanted.ReplicationFactor = e.Topic, partitions, 1
	create.Topics = append(create.Topics, wanted)
	e.Eventually("the topic is created again", func() bool {
		created, err := create.RequestWith(e.Context(), client)
		return err == nil && created.Topics[0].ErrorCode == 0
	})
}

// createTopics creates topics and deletes them when the test ends. It does not use Sarama, because
// another test may be writing Sarama's package variables.
func createTopics(t *testing.T, brokers []string, topics ...string) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := deleteTopics(context.WithoutCancel(t.Context()), client, topics...); err != nil {
			t.Error(err)
		}
		client.Close()
	})
	create := kmsg.NewPtrCreateTopicsRequest()
	for _, topic := range topics {
		wanted := kmsg.NewCreateTopicsRequestTopic()
		wanted.Topic, wanted.NumPartitions, wanted.ReplicationFactor = topic, partitions, 1
		create.Topics = append(create.Topics, wanted)
	}
	created, err := create.RequestWith(t.Context(), client)
	if err != nil {
		t.Fatal(err)
	}
	for _, topic := range created.Topics {
		if err := kerr.ErrorForCode(topic.ErrorCode); err != nil {
			t.Fatal(err)
		}
	}
}

func deleteTopics(ctx context.Context, client *kgo.Client, topics ...string) error {
	remove := kmsg.NewPtrDeleteTopicsRequest()
	// The broker's version of the request decides which of the two lists it reads.
	remove.TopicNames = topics
	for _, topic := range topics {
		named := kmsg.NewDeleteTopicsRequestTopic()
		named.Topic = &topic
		remove.Topics = append(remove.Topics, named)
	}
	_, err := remove.RequestWith(ctx, client)
	return err
}
