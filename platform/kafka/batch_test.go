package kafka

import (
	"bytes"
	"math"
	"testing"
)

// The partitions below are what Kafka's Java client chooses, found with another
// implementation of its murmur2. They must never change.
func TestAKeyKeepsItsPartitionForEver(t *testing.T) {
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

func TestTheNumberAfterTheLargestIsZero(t *testing.T) {
	t.Parallel()
	at := TopicPartition{"things", 0}
	self := &producerID{nextSequence: map[TopicPartition]int32{at: math.MaxInt32 - 1}}
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
	small := Record{Value: bytes.Repeat([]byte("x"), 400_000)}
	tall := Record{Value: bytes.Repeat([]byte("x"), 2*maxBatchBytes)}
	wordy := Record{Headers: []Header{{"h", string(tall.Value)}}}
	for name, test := range map[string]struct {
		queue []Record
		want  int
	}{
		"all":                 {[]Record{small, small}, 2},
		"two of three":        {[]Record{small, small, small}, 2},
		"one too large alone": {[]Record{tall, small}, 1},
		"one before a large":  {[]Record{small, tall}, 1},
		"headers count":       {[]Record{small, wordy}, 1},
	} {
		if got, _ := nextBatch(test.queue); got != test.want {
			t.Errorf("%s: got %d, want %d", name, got, test.want)
		}
	}
}
