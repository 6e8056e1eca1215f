package brokertest

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// EncodeBatch returns a batch of records of these values, which damage may change.
func EncodeBatch(first int64, damage func(batch []byte) []byte, values ...string) []byte {
	batch := kmsg.RecordBatch{
		FirstOffset: first, LastOffsetDelta: int32(len(values) - 1), Magic: 2, NumRecords: int32(len(values)),
		ProducerID: -1, ProducerEpoch: -1, FirstSequence: -1,
	}
	for i, value := range values {
		record := kmsg.Record{OffsetDelta: int32(i), Value: []byte(value)}
		record.Length = int32(len(record.AppendTo(nil)) - 1)
		batch.Records = record.AppendTo(batch.Records)
	}
	batch.Length = int32(len(batch.AppendTo(nil)) - 12)
	made := batch.AppendTo(nil)
	SetChecksum(made)
	if damage != nil {
		made = damage(made)
	}
	return made
}

// SetChecksum gives the batch its checksum.
func SetChecksum(batch []byte) []byte {
	const checksum, checked = 17, 21 // where it is, and what it is of
	binary.BigEndian.PutUint32(batch[checksum:], crc32.Checksum(batch[checked:], crc32.MakeTable(crc32.Castagnoli)))
	return batch
}

// StoredBatch is a batch as a broker has it.
type StoredBatch struct {
	Next  int64 // the offset after it
	Bytes []byte
}

// RespondToFetch makes the broker respond to fetches for partition 0 of the topic with these
// batches, as long as there is one at the offset asked for.
func (w Env) RespondToFetch(topic string, batches ...StoredBatch) {
	first, end := int64(binary.BigEndian.Uint64(batches[0].Bytes)), batches[len(batches)-1].Next
	w.Fake.ControlKey(int16(kmsg.Fetch), func(request kmsg.Request) (kmsg.Response, error, bool) {
		w.Fake.KeepControl()
		asked := request.(*kmsg.FetchRequest)
		if len(asked.Topics) != 1 {
			return nil, nil, false
		}
		for _, partition := range asked.Topics[0].Partitions {
			from := partition.FetchOffset
			if asked.Topics[0].Topic != topic || partition.Partition != 0 || from < first || from >= end {
				continue
			}
			answer := asked.ResponseKind().(*kmsg.FetchResponse)
			answered, answering := kmsg.NewFetchResponseTopic(), kmsg.NewFetchResponseTopicPartition()
			answered.Topic, answering.HighWatermark, answering.LastStableOffset = topic, end, end
			for _, batch := range batches {
				if batch.Next <= from {
					continue
				}
				if sum := len(answering.RecordBatches); sum > 0 && sum+len(batch.Bytes) > int(partition.PartitionMaxBytes) {
					break
				}
				answering.RecordBatches = append(answering.RecordBatches, batch.Bytes...)
			}
			answered.Partitions = append(answered.Partitions, answering)
			answer.Topics = append(answer.Topics, answered)
			return answer, nil, true
		}
		return nil, nil, false
	})
}

// RespondWithEmptyBatch makes the broker respond to fetches for partition 0, from the one
// offset up to the other, with a batch that compaction emptied.
func (w Env) RespondWithEmptyBatch(from, to int64) {
	batch := kmsg.RecordBatch{
		FirstOffset: from, LastOffsetDelta: int32(to - from - 1), Length: 49, Magic: 2,
		ProducerID: -1, ProducerEpoch: -1, FirstSequence: -1,
	}
	w.RespondToFetch(w.Topic, StoredBatch{Next: to, Bytes: SetChecksum(batch.AppendTo(nil))})
}
