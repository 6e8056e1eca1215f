package producer

import (
	"fmt"

	"github.com/IBM/sarama"

	"example.com/todo/platform/kafka"
)

// producerID lets Kafka recognise a batch that is sent again: by the id that Kafka
// assigned, and by the sequence number of the next record to each partition.
type producerID struct {
	id           int64
	epoch        int16
	nextSequence map[kafka.TopicPartition]int32
}

func requestProducerID(client sarama.Client) (*producerID, error) {
	broker := client.LeastLoadedBroker()
	if broker == nil {
		return nil, sarama.ErrOutOfBrokers
	}
	response, err := broker.InitProducerID(&sarama.InitProducerIDRequest{Version: 4, ProducerID: -1, ProducerEpoch: -1})
	if err != nil {
		return nil, fmt.Errorf("ask for a producer id: %w", err)
	}
	if response.Err != sarama.ErrNoError {
		return nil, fmt.Errorf("ask for a producer id: %w", response.Err)
	}
	return &producerID{id: response.ProducerID, epoch: response.ProducerEpoch, nextSequence: make(map[kafka.TopicPartition]int32)}, nil
}

// advance adds the acknowledged records to the sequence number, which wraps to 0 after
// the largest.
func (i *producerID) advance(at kafka.TopicPartition, records int) {
	i.nextSequence[at] = int32((uint32(i.nextSequence[at]) + uint32(records)) & 0x7fffffff)
}
