// Package kafka is the system's hold on Kafka: a producer whose Send returns
// after every acknowledgement, and a consumer group that hands a Handler
// batches in order, retries what will pass and puts aside what will not.
//
// It wraps Sarama and shows none of it.
package kafka
