package kafka

import (
	"testing"

	"github.com/IBM/sarama"
	"github.com/google/go-cmp/cmp"
)

func TestAReceivedRecordIsACopyThatKeepsNullApart(t *testing.T) {
	t.Parallel()
	buffer := []byte("keyvaluetracecontext")
	header := func(key, value []byte) *sarama.RecordHeader { return &sarama.RecordHeader{Key: key, Value: value} }
	for name, test := range map[string]struct {
		message sarama.ConsumerMessage
		want    Record
	}{
		"all there": {
			sarama.ConsumerMessage{Key: buffer[:3], Value: buffer[3:8], Headers: []*sarama.RecordHeader{
				header(buffer[8:13], buffer[13:]), header(nil, buffer[:3]), header(buffer[:3], nil),
			}},
			Record{Key: []byte("key"), Value: []byte("value"), Headers: []Header{{"trace", "context"}, {"", "key"}, {"key", ""}}},
		},
		"null value": {sarama.ConsumerMessage{Key: buffer[:3]}, Record{Key: []byte("key")}},
		"null key":   {sarama.ConsumerMessage{Value: buffer[:3]}, Record{Value: []byte("key")}},
		"empty":      {sarama.ConsumerMessage{Key: []byte{}, Value: []byte{}}, Record{Key: []byte{}, Value: []byte{}}},
	} {
		t.Run(name, func(t *testing.T) {
			got := fromSarama(&test.message)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			_ = append(got.Key, "overwrites"...)
			if diff := cmp.Diff(test.want.Value, got.Value); diff != "" {
				t.Errorf("after something was appended to the key (-want +got):\n%s", diff)
			}
		})
	}
	message := sarama.ConsumerMessage{Value: buffer}
	got := fromSarama(&message)
	clear(buffer)
	if string(got.Value) != "keyvaluetracecontext" {
		t.Errorf("the value %q changed with the buffer", got.Value)
	}
}
