package client

import "github.com/IBM/sarama"

// TopicID returns the id that Kafka gave the topic when it was created, or "" if the
// broker gives topics no id. A topic that is deleted and created again has another id.
func (c *Client) TopicID(topic string) (id string, err error) {
	brokers := c.Brokers()
	if len(brokers) == 0 { // none is known before the first response
		id, _, err = c.requestTopicID(c.LeastLoadedBroker(), topic)
		return id, err
	}
	// The first broker may be down. Without the id a session fails to begin, and that
	// makes all members of the group join anew. So each broker is tried in turn.
	for _, broker := range brokers {
		var responded bool
		_ = broker.Open(c.Config()) // GetMetadata returns the error of a failed Open
		if id, responded, err = c.requestTopicID(broker, topic); responded {
			break
		}
	}
	return id, err
}

func (c *Client) requestTopicID(broker *sarama.Broker, topic string) (id string, responded bool, err error) {
	if broker == nil {
		return "", false, sarama.ErrBrokerNotAvailable
	}
	response, err := broker.GetMetadata(sarama.NewMetadataRequest(c.Config().Version, []string{topic}))
	if err != nil {
		_ = broker.Close() // otherwise Sarama hands out the broken connection again
		return "", false, err
	}
	for _, found := range response.Topics {
		switch {
		case found.Name != topic:
		case found.Err != sarama.ErrNoError:
			return "", true, found.Err
		case found.Uuid == sarama.Uuid{}:
			return "", true, nil
		default:
			return found.Uuid.String(), true, nil
		}
	}
	return "", true, sarama.ErrIncompleteResponse
}
