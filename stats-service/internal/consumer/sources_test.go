package consumer_test

import (
	"context"
	"errors"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"

	contract "example.com/todo/contracts/event"
	"example.com/todo/platform/kafka"
	"example.com/todo/stats-service/internal/consumer"
)

func TestSourcesFailWhenTheTopicIsCreatedAgain(t *testing.T) {
	t.Parallel()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(2, contract.Topic))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	cfg := kafka.Config{Brokers: cluster.ListenAddrs(), ClientID: "test"}
	sources, err := consumer.NewSources(t.Context(), cfg, contract.Topic, contract.DLQTopic, "counters")
	if err != nil {
		t.Fatal(err)
	}
	visit := func(context.Context, []kafka.Record) error { return nil }
	if next, err := sources.Log(t.Context(), nil, visit); err != nil || len(next) != 2 {
		t.Errorf("in the same topic: %v, %v", next, err)
	}
	if err := errors.Join(cluster.DeleteTopic(contract.Topic), cluster.CreateTopic(contract.Topic, 2, nil)); err != nil {
		t.Fatal(err)
	}
	if _, err := sources.Log(t.Context(), nil, visit); !errors.Is(err, consumer.ErrTopicReplaced) {
		t.Errorf("in another topic: %v, want ErrTopicReplaced", err)
	}
}
