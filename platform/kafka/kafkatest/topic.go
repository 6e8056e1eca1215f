package kafkatest

import (
	"context"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// createTopics makes topics that are gone when the test ends. It does so without
// Sarama, whose package variables another test may be setting.
func createTopics(t *testing.T, brokers []string, topics ...string) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		remove := kmsg.NewPtrDeleteTopicsRequest()
		remove.TopicNames = topics
		if _, err := remove.RequestWith(context.WithoutCancel(t.Context()), client); err != nil {
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
