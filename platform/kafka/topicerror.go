package kafka

import (
	"errors"
	"fmt"

	"example.com/todo/platform/config"
)

// TopicError says that a topic is missing or has another number of partitions than
// configured. An operator has to change the topic or the settings.
type TopicError struct {
	Topic string
	Want  int // partitions configured; 0 if any number is accepted
	Have  int // partitions of the topic; 0 if it does not exist
	// Sources names the settings.
	Sources config.Sources
}

// IsMissing reports whether err says that a topic is missing. It may be created while a
// service waits, unlike a topic whose number of partitions differs.
func IsMissing(err error) bool {
	var topic *TopicError
	return errors.As(err, &topic) && topic.Have == 0
}

// Error says what is wrong and what to do about it.
func (e *TopicError) Error() string {
	switch {
	case e.Have == 0 && e.Want == 0:
		return fmt.Sprintf("topic %q does not exist: create it, or name another Kafka in the setting %s", e.Topic, e.Sources.Name("brokers"))
	case e.Have == 0:
		return fmt.Sprintf("topic %q does not exist: create it with %d partitions, or name another Kafka in the setting %s",
			e.Topic, e.Want, e.Sources.Name("brokers"))
	}
	return fmt.Sprintf("topic %q has %d partitions but %d are configured: "+
		"keys would change their partition, so set %s to %d, or name another Kafka in %s",
		e.Topic, e.Have, e.Want, e.Sources.Name("partitions"), e.Have, e.Sources.Name("brokers"))
}
