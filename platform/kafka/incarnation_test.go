package kafka

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
)

// A mark counts offsets of one topic: of the next one of that name it says nothing.
func TestAMarkOfAnEarlierTopicIsForgotten(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		origin string
		log    PartitionLog
		deaths int
	}{
		"the same topic":           {"id a", PartitionLog{TopicID: "a"}, 3},
		"an earlier topic":         {"id a", PartitionLog{TopicID: "b"}, 0},
		"an earlier version":       {"", PartitionLog{TopicID: "b"}, 3},
		"a broker that gives none": {"id a", PartitionLog{}, 3},
		"a record that is there":   {"record 11 f", holding(11, "f"), 3},
		"a record that is not":     {"record 11 f", holding(11, "g"), 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			marks := &memoryStore{}
			dying := newTestGroup(scriptedHandler{}, marks).newTracker(0, PartitionLog{})
			dying.Incarnation = test.origin
			dying.Crashes = map[int64]int{11: 3}
			dying.Suspects = OffsetRange{From: 11, To: 12}
			if err := dying.persist(t.Context()); err != nil {
				t.Fatal(err)
			}
			heir := newTestGroup(scriptedHandler{}, marks).newTracker(0, test.log)
			if _, _, err := heir.Acquire(t.Context(), 10, 100); err != nil {
				t.Fatal(err)
			}
			if got := heir.CrashesOf(Record{Offset: 11}); got != test.deaths {
				t.Errorf("%d deaths, want %d", got, test.deaths)
			}
		})
	}
}

// holding is a log without topic ids, of one record.
func holding(at int64, fingerprint string) PartitionLog {
	return PartitionLog{HasRecord: func(_ context.Context, offset int64, wanted string) (bool, error) {
		return offset == at && wanted == fingerprint, nil
	}}
}

func TestTheMarkSaysWhichLogItIsOf(t *testing.T) {
	t.Parallel()
	for want, log := range map[string]PartitionLog{
		"id a": {TopicID: "a"},
		"record 10 " + Record{Value: []byte("value")}.ShortFingerprint(): {},
	} {
		marks := &memoryStore{}
		group := newTestGroup(scriptedHandler{handle: handleAll}, marks)
		c := &partitionConsumer{group: group, sessionCtx: t.Context(), drainCtx: t.Context(), tracker: group.newTracker(0, log), foundLog: log}
		if _, err := c.execute([]Record{{TopicID: log.TopicID, Offset: 10, Value: []byte("value")}}); err != nil {
			t.Fatal(err)
		}
		var stored State
		if err := json.Unmarshal([]byte(c.tracker.stored), &stored); err != nil || stored.Incarnation != want {
			t.Errorf("the mark says %q, %v; want %q", stored.Incarnation, err, want)
		}
	}
}

func TestALogOwnsWhatWasStoredOfIt(t *testing.T) {
	t.Parallel()
	record := Record{Offset: 7, Key: []byte("task-1"), Value: []byte("done")}
	for name, test := range map[string]struct {
		origin string
		log    PartitionLog
		owned  bool
	}{
		"the same id":                      {Record{TopicID: "a"}.Incarnation(), PartitionLog{TopicID: "a"}, true},
		"another id":                       {Record{TopicID: "a"}.Incarnation(), PartitionLog{TopicID: "b"}, false},
		"a record, and it is there":        {record.Incarnation(), holding(7, record.ShortFingerprint()), true},
		"a record, and another is there":   {record.Incarnation(), holding(7, "other"), false},
		"an earlier version":               {"", PartitionLog{TopicID: "b"}, true},
		"an id, and now there are none":    {"id a", holding(0, ""), true},
		"what another program wrote there": {"kcat", PartitionLog{TopicID: "b"}, true},
		"half of an id":                    {"id ", PartitionLog{TopicID: "b"}, true},
		"half of a record":                 {"record 7", holding(0, ""), true},
	} {
		owned, err := test.log.Matches(t.Context(), test.origin)
		if err != nil || owned != test.owned {
			t.Errorf("%s: %t, %v; want %t", name, owned, err, test.owned)
		}
	}
	away := errors.New("Kafka is away")
	log := PartitionLog{HasRecord: func(context.Context, int64, string) (bool, error) { return false, away }}
	if _, err := log.Matches(t.Context(), record.Incarnation()); !errors.Is(err, away) {
		t.Errorf("the error is %v, want Kafka's", err)
	}
}

func TestTheTopicsIDIsToldWhileABrokerIsAway(t *testing.T) {
	t.Parallel()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(3), kfake.SeedTopics(1, "events"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	cfg := Defaults("test")
	cfg.Brokers = cluster.ListenAddrs()
	conn, err := connect(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.close)
	if err := conn.RefreshMetadata("events"); err != nil {
		t.Fatal(err)
	}
	if err := cluster.RemoveNode(2); err != nil {
		t.Fatal(err)
	}
	for range 50 { // Sarama has its brokers in no order
		if id, err := topicID(conn, "events"); err != nil || id == "" {
			t.Fatalf("the id is %q, %v", id, err)
		}
	}
}
