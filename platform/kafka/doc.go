// Package kafka is the vocabulary of the Kafka client: settings, records, topics and
// the identity of a log. The other packages do the work. Each imports only packages
// that stand below it:
//
//	deadletter       the command dlq: list, show and replay dead letters
//	consumer         consumer groups: retries, dead letters, stored offsets, watchdog
//	  quarantine     finds the record that crashes its process
//	reader           reads a topic from outside any group; topic and group metadata
//	producer         idempotent producer whose Send waits for every acknowledgement
//	internal/fetch   one fetch request, with bounded memory, undecodable batches named
//	internal/client  connections that a context can abort; classification of errors
//	kafka            (this package)
//	headers          the headers of dead letters and replays
//
// They wrap Sarama and show none of it.
package kafka
