package kafka

import "fmt"

// TopicError says that a topic is missing or has another number of partitions than
// configured. Retrying does not help: an operator has to change the topic or the
// settings.
type TopicError struct {
	Topic string
	Want  int // partitions configured; 0 if any number is accepted
	Have  int // partitions of the topic; 0 if it does not exist
}

// Error says what is wrong and what to do about it.
func (e *TopicError) Error() string {
	switch {
	case e.Have == 0 && e.Want == 0:
		return fmt.Sprintf("topic %q does not exist: create it", e.Topic)
	case e.Have == 0:
		return fmt.Sprintf("topic %q does not exist: create it with %d partitions", e.Topic, e.Want)
	}
	return fmt.Sprintf("topic %q has %d partitions but %d are configured: "+
		"keys would change their partition, so set the number that the topic has", e.Topic, e.Have, e.Want)
}
