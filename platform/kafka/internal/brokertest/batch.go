package brokertest

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"example.com/todo/platform/kafka/kafkatest/onebatch"
)

// EncodeBatch returns a batch of the records, which begins at the offset.
func EncodeBatch(first int64, codec kgo.CompressionCodec, records ...kmsg.Record) []byte {
	batch := kmsg.RecordBatch{
		FirstOffset: first, LastOffsetDelta: int32(len(records) - 1), Magic: 2, NumRecords: int32(len(records)),
		ProducerID: -1, ProducerEpoch: -1, FirstSequence: -1,
	}
	for i, record := range records {
		record.OffsetDelta = int32(i)
		record.Length = int32(len(record.AppendTo(nil)) - 1)
		batch.Records = record.AppendTo(batch.Records)
	}
	if compressor, err := kgo.DefaultCompressor(codec); err == nil && compressor != nil {
		compressed, used := compressor.Compress(&bytes.Buffer{}, batch.Records)
		batch.Records, batch.Attributes = compressed, int16(used)
	}
	batch.Length = int32(len(batch.AppendTo(nil)) - 12)
	return SetChecksum(batch.AppendTo(nil))
}

// SetChecksum gives the batch its checksum.
func SetChecksum(batch []byte) []byte {
	const checksum, checked = 17, 21 // where it is, and what it is of
	binary.BigEndian.PutUint32(batch[checksum:], crc32.Checksum(batch[checked:], crc32.MakeTable(crc32.Castagnoli)))
	return batch
}

// SendBatch writes the records as one batch.
func (w Env) SendBatch(t *testing.T, codec kgo.CompressionCodec, records ...*kgo.Record) {
	t.Helper()
	if err := onebatch.Send(TimeoutContext(t), []kgo.Opt{kgo.SeedBrokers(w.Brokers...)}, codec, records...); err != nil {
		t.Fatal(err)
	}
}

// SendOversizedBatch writes one batch to partition 0, which unpacks to 72 MB. It returns
// the number of its records.
func (w Env) SendOversizedBatch(t *testing.T, codec kgo.CompressionCodec) int {
	t.Helper()
	value := bytes.Repeat([]byte("b"), 900_000)
	records := make([]*kgo.Record, 80)
	for i := range records {
		records[i] = &kgo.Record{Topic: w.Topic, Key: []byte("task-1"), Value: value}
	}
	w.SendBatch(t, codec, records...)
	return len(records)
}

// OnFetch makes the broker respond to fetches of the topic's partition 0 as respond
// says, and as usual where that returns nil.
func (w Env) OnFetch(respond func(asked kmsg.FetchRequestTopicPartition) *kmsg.FetchResponseTopicPartition) {
	w.Fake.ControlKey(int16(kmsg.Fetch), func(request kmsg.Request) (kmsg.Response, error, bool) {
		w.Fake.KeepControl()
		asked := request.(*kmsg.FetchRequest)
		if len(asked.Topics) != 1 || asked.Topics[0].Topic != w.Topic || asked.Topics[0].Partitions[0].Partition != 0 {
			return nil, nil, false
		}
		partition := respond(asked.Topics[0].Partitions[0])
		if partition == nil {
			return nil, nil, false
		}
		response := asked.ResponseKind().(*kmsg.FetchResponse)
		topic := kmsg.NewFetchResponseTopic()
		topic.Topic, topic.Partitions = w.Topic, append(topic.Partitions, *partition)
		response.Topics = append(response.Topics, topic)
		return response, nil, true
	})
}

// StoredBatch is a batch as a broker has it.
type StoredBatch struct {
	Next  int64 // the offset after it
	Bytes []byte
}

// RespondToFetch makes the broker respond to fetches of the topic's partition 0 with these
// batches, as long as there is one at the offset asked for.
func (w Env) RespondToFetch(batches ...StoredBatch) {
	first, end := int64(binary.BigEndian.Uint64(batches[0].Bytes)), batches[len(batches)-1].Next
	w.OnFetch(func(asked kmsg.FetchRequestTopicPartition) *kmsg.FetchResponseTopicPartition {
		if asked.FetchOffset < first || asked.FetchOffset >= end {
			return nil
		}
		response := kmsg.NewFetchResponseTopicPartition()
		response.HighWatermark, response.LastStableOffset = end, end
		for _, batch := range batches {
			if batch.Next <= asked.FetchOffset {
				continue
			}
			if size := len(response.RecordBatches); size > 0 && size+len(batch.Bytes) > int(asked.PartitionMaxBytes) {
				break
			}
			response.RecordBatches = append(response.RecordBatches, batch.Bytes...)
		}
		return &response
	})
}

// RespondWithEmptyBatch makes the broker respond to fetches for partition 0, from the one
// offset up to the other, with a batch that compaction emptied.
func (w Env) RespondWithEmptyBatch(from, to int64) {
	batch := EncodeBatch(from, kgo.NoCompression())
	binary.BigEndian.PutUint32(batch[23:], uint32(to-from-1)) // its last offset, from its first
	w.RespondToFetch(StoredBatch{Next: to, Bytes: SetChecksum(batch)})
}
