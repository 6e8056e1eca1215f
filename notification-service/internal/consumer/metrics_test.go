package consumer_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"example.com/todo/notification-service/internal/consumer"
	"example.com/todo/notification-service/internal/notify"
	"example.com/todo/platform/kafka"
)

// outcomes is a Notifier that takes a second and returns the outcomes.
type outcomes []notify.Outcome

func (o outcomes) Notify(context.Context, []notify.Event) ([]notify.Outcome, error) {
	<-time.After(time.Second)
	return o, nil
}

func TestDeliveryTimeIsObservedOfSentNotificationsOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		f := newFixture(0)
		h := consumer.New(outcomes{notify.Sent, notify.Duplicate, notify.Ignored, notify.Sent}, f.offsets, nil, slog.New(slog.DiscardHandler), reg)
		var batch []kafka.Record
		for i, age := range []time.Duration{3 * time.Second, time.Hour, time.Hour, -time.Minute} {
			batch = append(batch, record(int64(i), fmt.Sprintf(`{"id":"e%d","type":"task.completed","task_id":1,"task_title":"x","timestamp":%q}`,
				i, time.Now().Add(-age).UTC().Format(time.RFC3339))))
		}
		if handled, err := h.Handle(t.Context(), batch); handled != len(batch) || err != nil {
			t.Fatalf("%d handled, %v", handled, err)
		}
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, family := range families {
			if family.GetName() == "notification_delivery_seconds" {
				// The first took 3 s and the second of its batch; the last was completed in the future of this clock.
				if got := family.GetMetric()[0].GetHistogram(); got.GetSampleCount() != 2 || got.GetSampleSum() != 4 {
					t.Errorf("%d deliveries took %v s, want 2 and 4 s", got.GetSampleCount(), got.GetSampleSum())
				}
				return
			}
		}
		t.Error("there is no histogram notification_delivery_seconds")
	})
}
