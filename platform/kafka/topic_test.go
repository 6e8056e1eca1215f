package kafka_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/todo/platform/kafka"
)

func TestCheckTopicTellsAWrongTopicFromAnAbsentKafka(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(t *testing.T, w env) {
		for name, test := range map[string]struct {
			topic      string
			partitions int
			want       *kafka.TopicError
		}{
			"as configured": {w.topic, partitions, nil},
			"any number":    {w.topic, 0, nil},
			"too few":       {w.topic, partitions + 1, &kafka.TopicError{Topic: w.topic, Want: partitions + 1, Have: partitions}},
			"missing":       {"missing-" + w.topic, 6, &kafka.TopicError{Topic: "missing-" + w.topic, Want: 6}},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				cfg := w.config()
				cfg.Partitions = test.partitions
				err := kafka.CheckTopic(timeoutContext(t), cfg, test.topic)
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
		err := kafka.CheckTopic(ctx, kafka.Config{Brokers: []string{"127.0.0.1:1"}}, "things")
		var wrong *kafka.TopicError
		if err == nil || errors.As(err, &wrong) {
			t.Errorf("got %v, want an error that is no TopicError", err)
		}
	})
}
