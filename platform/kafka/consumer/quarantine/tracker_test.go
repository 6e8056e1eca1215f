package quarantine

import (
	"context"
	"testing"

	"example.com/todo/platform/kafka"
)

func TestAcquireForgetsTheStateOfAnEarlierTopic(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		incarnation string
		log         kafka.PartitionLog
		crashes     int
	}{
		"the same topic":           {"id a", kafka.PartitionLog{TopicID: "a"}, 3},
		"an earlier topic":         {"id a", kafka.PartitionLog{TopicID: "b"}, 0},
		"an earlier version":       {"", kafka.PartitionLog{TopicID: "b"}, 3},
		"a broker that gives none": {"id a", kafka.PartitionLog{}, 3},
		"a record that is there":   {"record 11 f", holding(11, "f"), 3},
		"a record that is not":     {"record 11 f", holding(11, "g"), 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := &textStore{}
			revision := func() int64 { return 1 }
			previous := NewTracker(store, "previous", revision, 0, kafka.PartitionLog{})
			previous.Incarnation = test.incarnation
			previous.Crashes = map[int64]int{11: 3}
			previous.Suspects = OffsetRange{From: 11, To: 12}
			if err := previous.persist(t.Context()); err != nil {
				t.Fatal(err)
			}
			next := NewTracker(store, "next", revision, 0, test.log)
			if _, _, err := next.Acquire(t.Context(), 10, 100); err != nil {
				t.Fatal(err)
			}
			if got := next.CrashesOf(kafka.Record{Offset: 11}); got != test.crashes {
				t.Errorf("%d crashes, want %d", got, test.crashes)
			}
		})
	}
}

// textStore is a Store of one partition.
type textStore struct{ text string }

func (s *textStore) Load(context.Context, int32) (string, error) { return s.text, nil }

func (s *textStore) CompareAndSwap(_ context.Context, _ int32, old, next string) (bool, error) {
	if s.text != old {
		return false, nil
	}
	s.text = next
	return true, nil
}

// holding is a log without topic ids, of one record.
func holding(at int64, fingerprint string) kafka.PartitionLog {
	return kafka.PartitionLog{HasRecord: func(_ context.Context, offset int64, wanted string) (bool, error) {
		return offset == at && wanted == fingerprint, nil
	}}
}
