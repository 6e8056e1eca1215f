package consumer

import (
	"encoding/json"
	"testing"

	"example.com/todo/platform/kafka"
	"example.com/todo/platform/kafka/consumer/quarantine"
)

func TestExecuteStoresTheIncarnationOfTheLog(t *testing.T) {
	t.Parallel()
	for want, log := range map[string]kafka.PartitionLog{
		"id a": {TopicID: "a"},
		"record 10 " + kafka.Record{Value: []byte("value")}.ShortFingerprint(): {},
	} {
		store := &memoryStore{}
		group := newTestGroup(scriptedHandler{handle: handleAll}, store)
		c := &partitionConsumer{
			group: group, sessionCtx: t.Context(), drainCtx: t.Context(), tracker: group.newTracker(0, log),
			partitionPosition: partitionPosition{logAtStart: log},
		}
		if _, err := c.execute([]kafka.Record{{TopicID: log.TopicID, Offset: 10, Value: []byte("value")}}); err != nil {
			t.Fatal(err)
		}
		var stored quarantine.State
		text, _ := store.Load(t.Context(), 0)
		if err := json.Unmarshal([]byte(text), &stored); err != nil || stored.Incarnation != want {
			t.Errorf("the state says %q, %v; want %q", stored.Incarnation, err, want)
		}
	}
}
