package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/IBM/sarama"
)

// topicIDInterval is how often a session asks whether its topic is still the same.
const topicIDInterval = 2 * time.Second

// fingerprintBytes of a record's fingerprint stand in its origin.
const fingerprintBytes = 16

var errTopicReplaced = errors.New("the topic was deleted and created again")

// PartitionLog is a partition's log as a session found it.
type PartitionLog struct {
	Oldest, Newest int64
	TopicID        string // "" where the broker gives topics no id

	// HasRecord tells whether the record at the offset has the fingerprint.
	HasRecord func(ctx context.Context, offset int64, fingerprint string) (bool, error)
}

// Incarnation names the log by its topic's id; it is "" where the broker gives none.
func (l PartitionLog) Incarnation() string { return incarnationOf(l.TopicID) }

// Matches tells whether what was stored beside an offset is of this log: false means
// that the offset belongs to an earlier topic of the name. It is true of an origin
// that says nothing, such as "", which is what earlier versions stored. The error
// is about Kafka: a record has to be looked for where the broker gives no ids.
func (l PartitionLog) Matches(ctx context.Context, origin string) (bool, error) {
	var id, fingerprint string
	var offset int64
	if _, err := fmt.Sscanf(origin, "id %s", &id); err == nil {
		return id == l.TopicID || l.TopicID == "", nil
	}
	if _, err := fmt.Sscanf(origin, "record %d %s", &offset, &fingerprint); err == nil && l.HasRecord != nil {
		return l.HasRecord(ctx, offset, fingerprint)
	}
	return true, nil
}

// Incarnation names the log that the record was read from, to be stored beside an offset
// of it: by the topic's id, or where the broker gives none by the record's own
// offset and content.
func (r Record) Incarnation() string {
	if r.TopicID != "" {
		return incarnationOf(r.TopicID)
	}
	return fmt.Sprintf("record %d %s", r.Offset, r.ShortFingerprint())
}

func (r Record) ShortFingerprint() string {
	sum := r.Fingerprint()
	return fmt.Sprintf("%x", sum[:fingerprintBytes])
}

func incarnationOf(topicID string) string {
	if topicID == "" {
		return ""
	}
	return "id " + topicID
}

// topicID returns the id that Kafka gave the topic when it was created, or ""
// where the broker gives topics no id. A topic that is created again under the
// same name has another id.
func topicID(client sarama.Client, topic string) (id string, err error) {
	brokers := client.Brokers()
	if len(brokers) == 0 { // none is known before the first answer
		id, _, err = requestTopicID(client, client.LeastLoadedBroker(), topic)
		return id, err
	}
	// Each is asked until one answers, for the first may have died: a session that
	// fails to begin has all members of the group join anew.
	for _, broker := range brokers {
		var answered bool
		_ = broker.Open(client.Config()) // GetMetadata tells of a failure
		if id, answered, err = requestTopicID(client, broker, topic); answered {
			break
		}
	}
	return id, err
}

func requestTopicID(client sarama.Client, broker *sarama.Broker, topic string) (id string, answered bool, err error) {
	if broker == nil {
		return "", false, sarama.ErrBrokerNotAvailable
	}
	response, err := broker.GetMetadata(sarama.NewMetadataRequest(client.Config().Version, []string{topic}))
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

// partitionLog describes a partition's log.
func (s *session) partitionLog(partition int32, oldest, newest int64) PartitionLog {
	return PartitionLog{
		Oldest: oldest, Newest: newest, TopicID: s.topicID,
		HasRecord: func(ctx context.Context, offset int64, fingerprint string) (bool, error) {
			return s.group.surveyor.holds(ctx, partition, offset, fingerprint)
		},
	}
}

// watchTopic ends the session when the topic has another id than the session
// found. Without an answer it asks again in the next round.
func (s *session) watchTopic() {
	ticker := time.NewTicker(topicIDInterval)
	defer ticker.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-ticker.C:
		}
		asking, cancel := context.WithTimeout(s.ctx, topicIDInterval)
		id, err := s.group.surveyor.topicID(asking)
		cancel()
		if err == nil && isOtherTopic(s.topicID, id) {
			s.endReplaced(id)
			return
		}
	}
}

// endReplaced ends the session. What it stored stays bound to the id that it found,
// so the next session recognises it as another topic's.
func (s *session) endReplaced(id string) {
	s.group.metrics.replaced.Inc()
	s.group.log.Error("the topic was deleted and created again while it was read; joining anew",
		"topic_id", s.topicID, "new_topic_id", id)
	s.mu.Lock()
	if s.endReason == nil {
		s.endReason = errTopicReplaced
	}
	s.mu.Unlock()
	s.cancel()
}

// isOtherTopic compares two topic ids. A broker that gives none says nothing.
func isOtherTopic(known, now string) bool { return known != "" && now != "" && known != now }
