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
//	kafka_consumer_replaced_topics_total   group offsets and sessions found to be of an earlier topic of that name: alarm on any
//	kafka_consumer_hung_handlers_total     times that the handler did not return and the process was ended: alarm on any
//	kafka_consumer_undecodable_batches_total  batches met that cannot be unpacked or decoded: alarm on any
//	kafka_consumer_reported_errors_total   errors that Kafka or Sarama reported, and not about the connection
//	kafka_consumer_lag_records{partition}  records not done with, in the partitions that this member holds, whether
//	                                       they move or are held; Kafka is asked every 2 s where the log ends
//
// A record that kills its process is found out by marks that a store outside the
// process keeps (GroupConfig.Quarantine): one per partition, which says what its
// reader has in hand, written once per batch. Whoever begins with a partition
// and finds such a mark handles these records one by one. One that was in hand
// alone when a process died is handled while no other of the group's records is,
// in that process: so it does not collect the deaths that others caused. After
// five deaths it is dead-lettered. A record that the handler gave back, with
// whatever error, has shown that it does not kill, and has no deaths any more: no
// outage, and no kill while a partition is held, condemns anything. What can is
// five processes that somebody kills, one after the other, in the very moment in
// which they handle that record alone.
//
// A mark replaces only the one its writer wrote or found last. A member that was
// frozen, and wakes when another has its partition, can therefore change nothing
// in the other's mark; it finds out, and its session ends. For the freeze itself
// its record has one death more, like for a kill.
//
// A call of the handler ends with its context after a minute, or five seconds
// after its session. When it has not returned twelve seconds later, the log has
// the goroutines' stacks, and Run returns an error: a record that hangs its
// handler is like one that kills. Without that its partition would stand still,
// while the member's heartbeat says that all is well.
//
// A dead letter keeps the key, value and headers of the original, followed by
// the headers error, original-topic, original-partition, original-offset,
// consumer-group, attempts and failed-at. It may be written twice, when a
// process dies between Kafka's answer and the next commit: original-partition
// and original-offset tell. What cannot be decoded, or is refused as a dead letter,
// is one without the original's contents. It has the header original-size, and for a
// batch original-last-offset. A record with the header replay-group is passed
// over by every other group.
package kafka
