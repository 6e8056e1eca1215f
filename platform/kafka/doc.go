// Package kafka is the system's hold on Kafka: a producer whose Send returns
// after every acknowledgement, a consumer group that hands a Handler batches in
// order, retries what will pass and puts aside what will not, and Scan, which
// reads what a topic has and stops. It wraps Sarama and shows none of it.
//
// A Group counts, by the label group:
//
//	kafka_consumer_records_total{outcome}  records done with: handled, dead_lettered, passed_over
//	kafka_consumer_retries_total           calls of the handler after an error
//	kafka_consumer_gone_records_total      records deleted from the log before they were read: alarm on any
//	kafka_consumer_lag_records{partition}  records not done with, in the partitions that this member holds, whether
//	                                       they move or are held; Kafka is asked every 2 s where the log ends
//
// A dead letter keeps the key, value and headers of the original, followed by
// the headers error, original-topic, original-partition, original-offset,
// consumer-group, attempts and failed-at. It may be written twice, when a
// process dies between Kafka's answer and the next commit: original-partition
// and original-offset tell. A record with the header replay-group is passed
// over by every other group.
package kafka
