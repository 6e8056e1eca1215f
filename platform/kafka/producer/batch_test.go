package producer

import (
	"bytes"
	"math"
	"testing"

	"example.com/todo/platform/kafka"
)

// The partitions are those that Kafka's Java client chooses, computed with another
// implementation of its murmur2.
func TestAKeyKeepsItsPartition(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		key        string
		partitions int
		want       int32
	}{
		{"key-1", 6, 0},
		{"key-2", 6, 2},
		{"key-10", 6, 2},
		{"key-123456", 6, 4},
		{"key-9223372036854775807", 6, 0},
		{"a", 6, 4},
		{"", 6, 3},
		{"ключ", 6, 2},
		{"key-1", 12, 0},
		{"key-123456", 12, 10},
		{"", 12, 9},
		{"ключ", 12, 8},
	} {
		got, err := choosePartition(newPartitioner(), []byte(test.key), test.partitions)
		if err != nil || got != test.want {
			t.Errorf("%q of %d partitions: got %d, %v, want %d", test.key, test.partitions, got, err, test.want)
		}
	}
}

func TestTheSequenceNumberWrapsToZero(t *testing.T) {
	t.Parallel()
	at := kafka.TopicPartition{Topic: "things"}
	self := &producerID{nextSequence: map[kafka.TopicPartition]int32{at: math.MaxInt32 - 1}}
	self.advance(at, 1)
	if got := self.nextSequence[at]; got != math.MaxInt32 {
		t.Errorf("got %d", got)
	}
	self.advance(at, 3)
	if got := self.nextSequence[at]; got != 2 {
		t.Errorf("got %d, want 2", got)
	}
}

func TestABatchHoldsWhatFitsAndAtLeastOneRecord(t *testing.T) {
	t.Parallel()
	small := kafka.Record{Value: bytes.Repeat([]byte("x"), 400_000)}
	tall := kafka.Record{Value: bytes.Repeat([]byte("x"), 2*maxBatchBytes)}
	wordy := kafka.Record{Headers: []kafka.Header{{Key: "h", Value: string(tall.Value)}}}
	for name, test := range map[string]struct {
		queue []kafka.Record
		want  int
	}{
		"all":                 {[]kafka.Record{small, small}, 2},
		"two of three":        {[]kafka.Record{small, small, small}, 2},
		"one too large alone": {[]kafka.Record{tall, small}, 1},
		"one before a large":  {[]kafka.Record{small, tall}, 1},
		"headers count":       {[]kafka.Record{small, wordy}, 1},
	} {
		if got, _ := nextBatch(test.queue); got != test.want {
			t.Errorf("%s: got %d, want %d", name, got, test.want)
		}
	}
}
