package kafkatest

import (
	"context"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Recreate deletes the topic and creates it again under its name.
func (w Env) Recreate() {
	w.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(w.Kafka.Brokers...))
	if err != nil {
		w.Fatal(err)
	}
	defer client.Close()
	if err := deleteTopics(w.Context(), client, w.Topic); err != nil {
		w.Fatal(err)
	}
	create := kmsg.NewPtrCreateTopicsRequest()
	wanted := kmsg.NewCreateTopicsRequestTopic()
	wanted.Topic, wanted.NumPartitions, wanted.ReplicationFactor = w.Topic, partitions, 1
	create.Topics = append(create.Topics, wanted)
	w.Eventually("the topic to be created again", func() bool {
		created, err := create.RequestWith(w.Context(), client)
		return err == nil && created.Topics[0].ErrorCode == 0
	})
}

// createTopics makes topics that are gone when the test ends. It does so without
// Sarama, whose package variables another test may be setting.
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

// deleteTopics names the topics in both ways: which one counts depends on the
// version of the request that the broker speaks.
func deleteTopics(ctx context.Context, client *kgo.Client, topics ...string) error {
	remove := kmsg.NewPtrDeleteTopicsRequest()
	remove.TopicNames = topics
	for _, topic := range topics {
		named := kmsg.NewDeleteTopicsRequestTopic()
		named.Topic = &topic
		remove.Topics = append(remove.Topics, named)
	}
	_, err := remove.RequestWith(ctx, client)
	return err
}
