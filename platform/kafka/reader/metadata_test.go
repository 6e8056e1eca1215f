package reader_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"example.com/todo/platform/kafka"
	"example.com/todo/platform/kafka/internal/brokertest"
	"example.com/todo/platform/kafka/reader"
)

func TestCheckTopicTellsAWrongTopicFromAnUnavailableKafka(t *testing.T) {
	t.Parallel()
	brokertest.OnEachBroker(t, func(t *testing.T, w brokertest.Env) {
		for name, test := range map[string]struct {
			topic      string
			partitions int
			want       *kafka.TopicError
		}{
			"as configured": {w.Topic, brokertest.Partitions, nil},
			"any number":    {w.Topic, 0, nil},
			"too few":       {w.Topic, brokertest.Partitions + 1, &kafka.TopicError{Topic: w.Topic, Want: brokertest.Partitions + 1, Have: brokertest.Partitions}},
			"missing":       {"missing-" + w.Topic, 6, &kafka.TopicError{Topic: "missing-" + w.Topic, Want: 6}},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				cfg := w.Config()
				cfg.Partitions = test.partitions
				err := reader.CheckTopic(brokertest.TimeoutContext(t), cfg, test.topic)
				var got *kafka.TopicError
				if !errors.As(err, &got) && err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(test.want, got); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		}
	})
	t.Run("away", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		err := reader.CheckTopic(ctx, kafka.Config{Brokers: []string{"127.0.0.1:1"}}, "things")
		var wrong *kafka.TopicError
		if err == nil || errors.As(err, &wrong) {
			t.Errorf("got %v, want an error that is no TopicError", err)
		}
	})
}

func TestHasGroupKnowsGroupsWithMembersOrOffsets(t *testing.T) {
	t.Parallel()
	brokertest.OnEachBroker(t, func(t *testing.T, w brokertest.Env) {
		is := func(what string, want bool) {
			t.Helper()
			if got, err := reader.HasGroup(brokertest.TimeoutContext(t), w.Config(), w.Group("readers")); err != nil || got != want {
				t.Errorf("%s: %v, %v", what, got, err)
			}
		}
		is("a group that never was", false)
		member := w.Client(t, kgo.ConsumerGroup(w.Group("readers")), kgo.ConsumeTopics(w.Topic))
		w.Send(t, brokertest.Value("1"))
		if err := member.PollFetches(brokertest.TimeoutContext(t)).Err(); err != nil {
			t.Fatal(err)
		}
		is("a group with members", true)
		if err := member.CommitUncommittedOffsets(brokertest.TimeoutContext(t)); err != nil {
			t.Fatal(err)
		}
		member.Close()
		is("a group with offsets", true)
	})
}
