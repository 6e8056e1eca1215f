package app

import (
	"context"
	"errors"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"

	"example.com/todo/contracts/event"
	"example.com/todo/platform/kafka"
	"example.com/todo/platform/kafka/reader"
)

func TestRebuildFailsWhenTheTopicIsCreatedAgain(t *testing.T) {
	t.Parallel()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(2, event.Topic))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	cfg := kafka.Config{Brokers: cluster.ListenAddrs(), ClientID: "test"}
	id, err := reader.TopicID(t.Context(), cfg, event.Topic)
	if err != nil || id == "" {
		t.Fatalf("the topic's id is %q, %v", id, err)
	}
	scan := failWhenReplaced(func(context.Context, map[int32]int64, func(context.Context, []kafka.Record) error) (map[int32]int64, error) {
		return map[int32]int64{0: 5}, nil
	}, id, cfg)
	if next, err := scan(t.Context(), nil, nil); err != nil || next[0] != 5 {
		t.Errorf("in the same topic: %v, %v", next, err)
	}
	if err := errors.Join(cluster.DeleteTopic(event.Topic), cluster.CreateTopic(event.Topic, 2, nil)); err != nil {
		t.Fatal(err)
	}
	if _, err := scan(t.Context(), nil, nil); !errors.Is(err, errTopicReplaced) {
		t.Errorf("in another topic: %v, want errReplaced", err)
	}
}
