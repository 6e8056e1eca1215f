package kafka

import (
	"context"
	"errors"
	"testing"
)

// holding is a log without topic ids, of one record.
func holding(at int64, fingerprint string) PartitionLog {
	return PartitionLog{HasRecord: func(_ context.Context, offset int64, wanted string) (bool, error) {
		return offset == at && wanted == fingerprint, nil
	}}
}

func TestPartitionLogMatchesItsIncarnations(t *testing.T) {
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
