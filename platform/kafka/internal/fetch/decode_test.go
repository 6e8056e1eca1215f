package fetch

import (
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/google/go-cmp/cmp"

	"example.com/todo/platform/kafka"
)

func TestFromSaramaCopiesAndTellsNullFromEmpty(t *testing.T) {
	t.Parallel()
	buffer := []byte("keyvaluetracecontext")
	header := func(key, value []byte) *sarama.RecordHeader { return &sarama.RecordHeader{Key: key, Value: value} }
	for name, test := range map[string]struct {
		encoded sarama.Record
		want    kafka.Record
	}{
		"all there": {
			sarama.Record{Key: buffer[:3], Value: buffer[3:8], Headers: []*sarama.RecordHeader{
				header(buffer[8:13], buffer[13:]), header(nil, buffer[:3]), header(buffer[:3], nil),
			}},
			kafka.Record{Key: []byte("key"), Value: []byte("value"), Headers: []kafka.Header{{Key: "trace", Value: "context"}, {Value: "key"}, {Key: "key"}}},
		},
		"null value": {sarama.Record{Key: buffer[:3]}, kafka.Record{Key: []byte("key")}},
		"null key":   {sarama.Record{Value: buffer[:3]}, kafka.Record{Value: []byte("key")}},
		"empty":      {sarama.Record{Key: []byte{}, Value: []byte{}}, kafka.Record{Key: []byte{}, Value: []byte{}}},
	} {
		t.Run(name, func(t *testing.T) {
			got := fromSarama(kafka.TopicPartition{}, 0, time.Time{}, &test.encoded)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			_ = append(got.Key, "overwrites"...)
			if diff := cmp.Diff(test.want.Value, got.Value); diff != "" {
				t.Errorf("after something was appended to the key (-want +got):\n%s", diff)
			}
		})
	}
	encoded := sarama.Record{Value: buffer}
	got := fromSarama(kafka.TopicPartition{}, 0, time.Time{}, &encoded)
	clear(buffer)
	if string(got.Value) != "keyvaluetracecontext" {
		t.Errorf("the value %q changed with the buffer", got.Value)
	}
}
